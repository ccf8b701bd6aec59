"""What is legal in a data set, and good to know."""

from fullconv.data.doctor.kind import Kind

GOOD_TO_KNOW: dict[str, Kind] = {
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
