"""Every kind of fault that the doctor knows, and what is to be said of it.

The order is that in which faults of equal severity are told.
"""

from dataclasses import dataclass
from typing import Literal


@dataclass(frozen=True)
class Kind:
    """A kind of fault.

    Attributes:
        severity: "ruins": training stops, or what it learns is worth nothing; "harms": it learns or is measured less well than
            it seems; "information": legal, and good to know.
        title: what is wrong.
        consequence: what it would do to training.
        remedy: what to do about it by hand.
        mend: what `--fix` does about it; empty where only people can.
        asked: `--fix` does so only if `--also CODE` asks for it.
    """

    severity: Literal["ruins", "harms", "information"]
    title: str
    consequence: str
    remedy: str
    mend: str = ""
    asked: bool = False


KINDS: dict[str, Kind] = {
    "layout": Kind(
        "ruins",
        "the data set cannot be opened",
        "training does not begin",
        "put pictures into images/ and masks of the same names into masks/",
    ),
    "description": Kind(
        "ruins",
        "the list of classes cannot be read",
        "training does not begin: without it no mask has a meaning",
        "correct the place that is named",
    ),
    "no-classes": Kind(
        "ruins",
        "colour-coded masks, and nothing says which colour is which class",
        "training does not begin",
        "add a dataset.yaml that gives each class its colour",
    ),
    "list-unreadable": Kind(
        "ruins",
        "lists of names that cannot be read or are empty",
        "the split is not known, and training does not begin",
        "write one picture's name a line, in UTF-8",
    ),
    "listed-missing": Kind(
        "ruins",
        "names in a list that have no picture",
        "training does not begin",
        "add the pictures, or take their names out of the list",
        "takes the names out of the list",
    ),
    "mask-missing": Kind(
        "ruins",
        "pictures without a mask",
        "training does not begin",
        "add the masks under the pictures' names, or take the pictures out",
        "leaves the pictures out",
    ),
    "name-doubled": Kind(
        "ruins",
        "two files of one name",
        "which of them belongs to the other side's file cannot be known, and training does not begin",
        "remove one of each two",
        "keeps one of two that hold the same pixels",
    ),
    "companion-missing": Kind(
        "ruins",
        "samples without their file of extra channels or of a further head",
        "training does not begin",
        "add the files, or take the folder out of dataset.yaml",
        "leaves the samples out",
    ),
    "empty-file": Kind(
        "ruins",
        "files of 0 bytes",
        "training stops when it comes to one of them",
        "copy them again, or take them out",
        "leaves them and their partners out",
    ),
    "unreadable": Kind(
        "ruins",
        "files that cannot be read",
        "training stops when it comes to one of them",
        "copy or export them again, or take them out",
        "leaves them and their partners out",
    ),
    "too-large": Kind(
        "ruins",
        "pictures of more pixels than are read",
        "training stops when it comes to one of them",
        "reduce them or cut them into tiles",
        "leaves them and their masks out",
    ),
    "mask-turned": Kind(
        "ruins",
        "masks drawn on the picture before it was turned upright",
        "programs that show the picture turn it by its EXIF tag, the mask's does not: the two do not fit",
        "turn the masks as the tag says, or remove the tag and turn the pictures",
        "turns the masks as the pictures' EXIF tags say",
    ),
    "mask-size": Kind(
        "ruins",
        "masks of another size than their picture",
        "training stops when it comes to one of them; a mask that is stretched to fit has its outlines off",
        "export the masks at their pictures' size",
        "scales masks of the same proportions, each pixel to the nearest",
        asked=True,
    ),
    "extra-size": Kind(
        "ruins",
        "extra channels of another size than their picture",
        "training stops when it comes to one of them",
        "export them at their pictures' size",
    ),
    "mask-jpeg": Kind(
        "ruins",
        "masks that went through JPEG",
        "its loss turns ids and colours into their neighbours: classes appear that nobody drew",
        "export them again as PNG",
        "takes each pixel for the class it is nearest to, where the noise leaves no doubt",
    ),
    "mask-binary": Kind(
        "ruins",
        "masks of 0 and 255 instead of 0 and 1",
        "255 means void: the second class has not one pixel, and a network that always says the first is perfect",
        "write 1 where 255 is",
        "writes 1 for 255",
    ),
    "mask-from-one": Kind(
        "ruins",
        "ids that begin at 1",
        "each class is taken for the next one, and the last is unknown: training stops",
        "subtract 1 from each id but 255",
        "subtracts 1 from each id but 255",
    ),
    "mask-zero-label": Kind(
        "ruins",
        "ids 0 to K for K classes: 0 may mean 'no label'",
        "each class is taken for the next one, and the last is unknown: training stops",
        "if 0 is no class, subtract 1 and make it void (reduce_zero_label); else add the class to dataset.yaml",
        "makes 0 void and subtracts 1 from the other ids",
        asked=True,
    ),
    "mask-interpolated": Kind(
        "ruins",
        "masks that were scaled with interpolation",
        "between classes 1 and 3 it drew a line of class 2: wrong pixels along every outline, unknown ids too",
        "scale masks to the nearest pixel, never bilinearly",
        "gives the pixels in between to the class beside them",
    ),
    "mask-ids": Kind(
        "ruins",
        "ids that are no class",
        "training stops when it comes to one of them; elsewhere they end in a CUDA assert",
        "add the classes to dataset.yaml, or list the ids there under ignore:",
    ),
    "mask-blended": Kind(
        "ruins",
        "outlines drawn smoothly: colours between those of two classes",
        "these pixels belong to no class, and training stops",
        "draw or export masks without anti-aliasing",
        "gives the pixels in between to the class beside them",
    ),
    "mask-colours": Kind(
        "ruins",
        "colours that are no class's",
        "training stops when it comes to one of them",
        "correct the colours in dataset.yaml, or mend the masks",
        "takes colours no more than 16 steps from a class's for it, where no other is near",
    ),
    "mask-palette": Kind(
        "ruins",
        "ids that have other classes' colours",
        "whether the number or the colour is right cannot be known, and training stops",
        "correct the colours in dataset.yaml or, if the ids are wrong, save the masks as RGB",
        "goes by the colours where the masks' palettes differ from one to the next",
    ),
    "one-class": Kind(
        "ruins",
        "one class and nothing else",
        "there is nothing to tell apart: a network that always says this class is perfect",
        "look whether the masks were exported empty",
    ),
    "palettes-differ": Kind(
        "harms",
        "masks that number the same colours differently",
        "the program that wrote them counted the colours anew for each: an id means one class here, another there",
        "name the colours in dataset.yaml and save the masks as RGB, or export ids",
    ),
    "mask-shades": Kind(
        "harms",
        "grey masks that are neither dark nor light in places",
        "these pixels are taken for the side of 128 they are on, right or wrong",
        "look whether the masks are black and white",
    ),
    "picture-missing": Kind(
        "harms",
        "masks without a picture",
        "what was drawn there is not learnt from",
        "add the pictures under the masks' names, or remove the masks",
        "leaves the masks out",
    ),
    "in-two-splits": Kind(
        "harms",
        "samples that are in a list for training and in one for measuring",
        "the score is that of pictures learnt by heart",
        "take them out of one list",
        "takes them out of the list for training",
    ),
    "same-across": Kind(
        "harms",
        "the same picture in training and in measuring",
        "the score is that of pictures learnt by heart",
        "take them out of one side",
        "takes them out of training",
    ),
    "near-same-across": Kind(
        "harms",
        "nearly the same picture in training and in measuring",
        "the score is partly that of pictures learnt by heart",
        "split by scene or sequence, not by picture",
        "takes them out of training",
        asked=True,
    ),
    "contradictory": Kind(
        "harms",
        "the same picture with different masks",
        "training is told one thing and then another, and learns the mean of both",
        "keep the better mask of each",
    ),
    "class-unlearnt": Kind(
        "harms",
        "classes that are measured but never learnt",
        "their IU is 0 whatever the network does, and pulls the mean down",
        "split so that each class is in training, or take the class out",
    ),
    "mask-void": Kind(
        "harms",
        "masks that are void all over",
        "nothing is learnt from such a mask",
        "label them or take them out",
        "leaves them and their pictures out",
    ),
    "much-void": Kind(
        "harms",
        "most pixels are void",
        "little is learnt from each picture, and measured on little",
        "look whether a class was meant; see what ids and colours become void",
    ),
    "some-binary": Kind(
        "harms",
        "masks that hold the first class and void alone",
        "255 always means void; if the second class was meant, it is not learnt there",
        "write 1 where the second class is meant",
    ),
    "misplaced": Kind(
        "harms",
        "outlines that do not lie on their picture's edges",
        "the network learns to be off by as much, or that nothing can be known",
        "look whether masks belong to other pictures, are mirrored or shifted",
    ),
    "mask-copied": Kind(
        "harms",
        "the mask of another picture",
        "the network is told what the picture does not show",
        "draw the right mask, or take these out",
    ),
    "picture-blank": Kind(
        "harms",
        "pictures of one colour",
        "there is nothing in them to be learnt; it teaches to guess",
        "take them out",
        "leaves them and their masks out",
        asked=True,
    ),
    "split-missing": Kind(
        "harms",
        "no split to train or to measure on",
        "fullconv train wants 'train' and 'val', and stops unless it is given others",
        "add a list or a folder for it",
    ),
    "class-absent": Kind(
        "information",
        "classes without a pixel",
        "what is not there cannot be learnt, and the mean IU leaves it out",
        "take them out of dataset.yaml if they are not wanted",
    ),
    "class-unmeasured": Kind(
        "information",
        "classes in training that are not measured",
        "the score says nothing of them",
        "have some of each class in val",
    ),
    "class-rare": Kind(
        "information",
        "rare classes",
        "they are learnt last, and little",
        "add pictures that show them; or loss=dice, class weights",
    ),
    "mask-constant": Kind(
        "information",
        "masks of one class all over",
        "right for pictures that show nothing else",
        "look whether they were finished",
    ),
    "fits-poorly": Kind(
        "information",
        "masks whose outlines lie least on their picture's edges",
        "right for soft or hidden outlines; else the network learns to be off",
        "look at them",
    ),
    "one-sequence": Kind(
        "information",
        "all pictures of a split are of one sequence",
        "the score is that of one place on one day",
        "measure on more sequences",
    ),
    "sequence-shared": Kind(
        "information",
        "a sequence of which parts are in training and parts in measuring",
        "neighbouring frames look alike: the score is somewhat better than on new places",
        "split by sequence",
    ),
    "same-within": Kind(
        "information",
        "the same picture more than once in a split",
        "it counts that often",
        "keep one of each",
        "keeps one of each in training",
        asked=True,
    ),
    "mask-shared": Kind(
        "information",
        "pictures that share one mask",
        "right for one thing before several backgrounds",
        "look at them",
    ),
    "listed-twice": Kind(
        "information",
        "names more than once in a list",
        "each is taken once",
        "nothing need be done",
    ),
    "wrong-suffix": Kind(
        "information",
        "files whose suffix says another format than they are",
        "read as what they are; other programs may refuse them",
        "give them the right suffix",
        "gives them the right suffix",
    ),
    "not-taken": Kind(
        "information",
        "files among the pictures and masks that are not read",
        "as if they were not there",
        "convert them to PNG or JPEG if they are pictures",
    ),
    "picture-turned": Kind(
        "information",
        "pictures that are stored lying and shown upright",
        "read upright, as browsers show them; masks must be drawn so",
        "nothing need be done",
    ),
    "picture-16-bit": Kind(
        "information",
        "pictures of 16 bits",
        "read with 8: white stays white; little is left of dark ones",
        "stretch their range if they look black",
    ),
    "picture-alpha": Kind(
        "information",
        "pictures with an alpha channel",
        "the colours are read as stored, under transparent parts too",
        "lay them on a background if that looks wrong",
    ),
    "picture-cmyk": Kind(
        "information",
        "pictures in CMYK",
        "converted without a colour profile: somewhat other colours than in print programs",
        "convert them to RGB with the program that made them",
    ),
    "picture-animated": Kind(
        "information",
        "pictures of several frames",
        "the first is read",
        "save the frames apart if others are meant",
    ),
    "picture-grey": Kind(
        "information",
        "grey pictures among coloured ones",
        "read as grey RGB",
        "nothing need be done if the network will meet such",
    ),
    "size-odd": Kind(
        "information",
        "pictures far smaller or larger than the rest",
        "things in them have another scale than elsewhere; the largest decides the memory",
        "look whether they belong here",
    ),
    "model-disagrees": Kind(
        "information",
        "masks that a trained model contradicts with confidence",
        "where the mask is wrong, training learns it",
        "look at the first ones: mask or model is wrong",
    ),
}
