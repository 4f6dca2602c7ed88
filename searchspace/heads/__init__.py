"""Heads for detection and segmentation on the feature maps of any architecture.

    from searchspace import reference
    from searchspace.heads import HeadedNetwork, head

    network = HeadedNetwork(reference("mobilenet_v3_large@320"), head("ssdlite", classes=90))
    network.params, network.madds

A head is declared once, as a graph of primitive layers over the maps it reads; operations, counts and the torch module
(`searchspace.modules.headed`) follow from the graph.
"""

from searchspace.heads._graph import HeadLayer, Node, NodeKind
from searchspace.heads._head import TaskHead
from searchspace.heads._taps import Tap, backbone_ops, feature_taps, strides_of, tap_at
from searchspace.heads.deeplab import DeepLabLite
from searchspace.heads.lraspp import LRASPP
from searchspace.heads.network import HeadedNetwork
from searchspace.heads.registry import HEADS, head, head_names
from searchspace.heads.ssdlite import SSDLite, halved_tail

__all__ = [
    "HEADS",
    "LRASPP",
    "DeepLabLite",
    "HeadLayer",
    "HeadedNetwork",
    "Node",
    "NodeKind",
    "SSDLite",
    "Tap",
    "TaskHead",
    "backbone_ops",
    "feature_taps",
    "halved_tail",
    "head",
    "head_names",
    "strides_of",
    "tap_at",
]
