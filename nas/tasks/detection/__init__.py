"""Detection: anchors, boxes, matching, loss, suppression and COCO's mAP.

    from nas.tasks.detection import anchors_of, detections

    found = detections(module(images), anchors_of(module.network.head, 320))   # one (boxes, scores, classes) an image

Boxes are cy, cx, h, w or, as corners, y1, x1, y2, x2, always as shares of the image's sides.
"""

from nas.tasks.detection._anchors import anchors_of
from nas.tasks.detection._boxes import corners, decode_boxes, encode_boxes, iou, nms
from nas.tasks.detection._find import Found, detections
from nas.tasks.detection._match import match
from nas.tasks.detection._task import Detection, DetectionMeter

__all__ = [
    "Detection",
    "DetectionMeter",
    "Found",
    "anchors_of",
    "corners",
    "decode_boxes",
    "detections",
    "encode_boxes",
    "iou",
    "match",
    "nms",
]
