"""The kinds of data sets a specification can name, for help pages and messages; imports nothing."""

DATA_KINDS = "digits, cifar10:FOLDER, imagefolder:FOLDER_OR_ZIP, datasets:NAME_OR_FOLDER"
