"""Weight import, on generated files of the real layer names; Caffe's are written by Google's own protobuf library."""

import re
import struct

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from google.protobuf import descriptor_pb2, descriptor_pool, message_factory
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from safetensors.torch import save_file
from torch import nn

from fullconv.errors import ConfigError, InputError, RunError
from fullconv.models import caffe, caffe_weights, caffemodel
from fullconv.models.caffe import CAFFE_PREPROCESSING, VGG16, CaffeAlexNet, CaffeFCN
from fullconv.models.caffe_weights import copy_weights, load_caffe_weights
from fullconv.models.caffemodel import read_caffemodel
from fullconv.ops.bilinear import bilinear_kernel
from fullconv.preprocessing import Preprocessing

TABLE = {name: channels // 32 for name, channels in VGG16.items()}
CONVOLUTIONS = [name for name in VGG16 if name.startswith("conv")]


@pytest.fixture(autouse=True)
def narrow(monkeypatch, request):
    """VGG16 with a 32nd of its channels."""
    if "long" not in request.keywords:
        monkeypatch.setattr(caffe, "VGG16", TABLE)


def schema(packed: bool):
    """The part of caffe.proto that matters, as a message class for NetParameter."""
    kinds = descriptor_pb2.FieldDescriptorProto
    file = descriptor_pb2.FileDescriptorProto(name=f"caffe{packed}.proto", package=f"caffe{packed}")
    messages = {
        "BlobShape": [("dim", 1, kinds.TYPE_INT64, True)],
        "BlobProto": [
            ("num", 1, kinds.TYPE_INT32, False),
            ("channels", 2, kinds.TYPE_INT32, False),
            ("height", 3, kinds.TYPE_INT32, False),
            ("width", 4, kinds.TYPE_INT32, False),
            ("data", 5, kinds.TYPE_FLOAT, True),
            ("diff", 6, kinds.TYPE_FLOAT, True),
            ("shape", 7, "BlobShape", False),
            ("double_data", 8, kinds.TYPE_DOUBLE, True),
        ],
        "LayerParameter": [
            ("name", 1, kinds.TYPE_STRING, False),
            ("type", 2, kinds.TYPE_STRING, False),
            ("bottom", 3, kinds.TYPE_STRING, True),
            ("loss_weight", 5, kinds.TYPE_FLOAT, True),
            ("blobs", 7, "BlobProto", True),
        ],
        "V1LayerParameter": [
            ("bottom", 2, kinds.TYPE_STRING, True),
            ("name", 4, kinds.TYPE_STRING, False),
            ("type", 5, kinds.TYPE_INT32, False),
            ("blobs", 6, "BlobProto", True),
        ],
        "NetParameter": [
            ("name", 1, kinds.TYPE_STRING, False),
            ("layers", 2, "V1LayerParameter", True),
            ("layer", 100, "LayerParameter", True),
        ],
    }
    for name, fields in messages.items():
        message = file.message_type.add(name=name)
        for field_name, number, kind, repeated in fields:
            field = message.field.add(name=field_name, number=number, label=3 if repeated else 1)
            if isinstance(kind, str):
                field.type, field.type_name = kinds.TYPE_MESSAGE, f".caffe{packed}.{kind}"
            else:
                field.type = kind
                if repeated and kind in (kinds.TYPE_FLOAT, kinds.TYPE_DOUBLE, kinds.TYPE_INT64):
                    field.options.packed = packed
    pool = descriptor_pool.DescriptorPool()
    pool.Add(file)
    return message_factory.GetMessageClass(pool.FindMessageTypeByName(f"caffe{packed}.NetParameter"))


def write_caffemodel(file, layers, *, old=False, packed=True, double=False):
    """A .caffemodel with `layers`, name -> list of arrays; `old`: as before 2015, all blobs with four axes."""
    net = schema(packed)(name="VGG")
    (net.layers if old else net.layer).add(name="data")
    for name, blobs in layers.items():
        layer = (net.layers if old else net.layer).add(name=name, bottom=["data"])
        for array in blobs:
            blob = layer.blobs.add()
            (blob.double_data if double else blob.data).extend(array.ravel().tolist())
            blob.diff.extend([9.0])
            if old:
                blob.num, blob.channels, blob.height, blob.width = (1,) * (4 - array.ndim) + array.shape
            else:
                blob.shape.dim.extend(array.shape)
    file.write_bytes(net.SerializeToString())
    return file


def random(*shape):
    return np.random.default_rng(sum(shape)).normal(size=shape).astype(np.float32)


def classifier_blobs(table=TABLE):
    """The layers of VGG_ILSVRC_16_layers.caffemodel: the last three are InnerProduct layers."""
    layers, channels = {}, 3
    for name in CONVOLUTIONS:
        layers[name] = [random(table[name], channels, 3, 3), random(table[name])]
        channels = table[name]
    layers["fc6"] = [random(table["fc6"], channels * 49), random(table["fc6"])]
    layers["fc7"] = [random(table["fc7"], table["fc6"]), random(table["fc7"])]
    layers["fc8"] = [random(10, table["fc7"]), random(10)]
    return layers


def fcn_blobs(num_classes, stride, scales=()):
    """The layers of a trained voc-fcn*.caffemodel; upsampling dense, as the original has it."""
    layers = classifier_blobs()
    del layers["fc8"]
    model = CaffeFCN(num_classes, stride)
    for name in ("fc6", "fc7"):
        layers[name][0] = layers[name][0].reshape(model.get_submodule(name).weight.shape)
    for name, layer in model.named_children():
        if name.startswith("score"):
            layers[name] = [random(*layer.weight.shape), random(num_classes)]
        elif name.startswith("upscore"):
            layers[name] = [bilinear_kernel(num_classes, num_classes, layer.kernel_size).numpy()]
    for pool, scale in scales:
        layers[f"scale_{pool}"] = [np.full(TABLE[pool], scale, np.float32)]
    return layers


def as_state(layers):
    """pytorch-fcn's state dict of the same weights."""
    return {
        f"{layer}.{role}": torch.from_numpy(blob.copy())
        for layer, blobs in layers.items()
        for role, blob in zip(("weight", "bias"), blobs, strict=False)
    }


def assert_holds(model, layers):
    state = model.state_dict()
    for name, blobs in layers.items():
        for role, blob in zip(("weight", "bias"), blobs, strict=False):
            if f"{name}.{role}" in state and not name.startswith("upscore"):
                assert np.array_equal(state[f"{name}.{role}"].numpy().ravel(), blob.ravel()), name


@pytest.mark.parametrize(
    ("old", "packed", "double"),
    [
        (False, True, False),
        (True, True, False),
        (False, False, False),
        (True, False, True),
        (False, True, True),
    ],
)
def test_a_caffe_classifier_of_any_age(tmp_path, old, packed, double):
    layers = classifier_blobs()
    file = write_caffemodel(tmp_path / "vgg16.caffemodel", layers, old=old, packed=packed, double=double)
    model = CaffeFCN(5, 16)
    said = copy_weights(model, file)
    assert said == "Caffe model; left as they were: score_fr, score_pool4; dropped: fc8"
    assert_holds(model, layers)
    assert not model.score_fr.weight.any()


def test_fully_connected_weights_become_the_convolution_that_computes_the_same(tmp_path):
    layers = classifier_blobs()
    model = CaffeFCN(5, 16)
    copy_weights(model, write_caffemodel(tmp_path / "vgg16.caffemodel", layers))
    pool5 = torch.randn(1, TABLE["pool5"], 7, 7, generator=torch.Generator().manual_seed(0))
    expected = F.linear(pool5.flatten(1), *map(torch.from_numpy, layers["fc6"]))
    torch.testing.assert_close(model.fc6(pool5).flatten(1), expected, rtol=1e-4, atol=1e-4)


@pytest.mark.parametrize("stride", [32, 16, 8])
def test_caffes_and_pytorch_fcns_files_give_the_same_network(tmp_path, stride):
    layers = fcn_blobs(4, stride)
    torch.save(as_state(layers), tmp_path / "fcn.pth")
    save_file(as_state(layers), tmp_path / "fcn.safetensors")
    files = [write_caffemodel(tmp_path / "fcn.caffemodel", layers)]
    files += [tmp_path / "fcn.pth", tmp_path / "fcn.safetensors"]
    picture = torch.randn(1, 3, 30, 40, generator=torch.Generator().manual_seed(0)) * 50
    logits = []
    for file in files:
        model = CaffeFCN(4, stride).eval()
        said = copy_weights(model, file)
        assert said in ("Caffe model", "state dict with Caffe's layer names")
        assert_holds(model, layers)
        logits.append(model(picture))
    assert logits[0].abs().max() > 0
    assert torch.equal(logits[0], logits[1])
    assert torch.equal(logits[0], logits[2])


def test_a_networks_own_state_comes_back(tmp_path):
    model, again = CaffeFCN(4, 8), CaffeFCN(4, 8)
    nn.init.normal_(model.score_pool3.weight)
    save_file(model.state_dict(), tmp_path / "model.safetensors")
    copy_weights(again, tmp_path / "model.safetensors")
    for name, tensor in model.state_dict().items():
        assert torch.equal(again.state_dict()[name], tensor), name


def test_a_stage_goes_on_from_the_one_before(tmp_path):
    layers = fcn_blobs(4, 16)
    model = CaffeFCN(4, 8)
    said = copy_weights(model, write_caffemodel(tmp_path / "fcn16s.caffemodel", layers))
    assert said == "Caffe model; left as they were: score_pool3; dropped: upscore16"
    assert_holds(model, layers)
    assert not model.score_pool3.weight.any()


def test_score_layers_of_other_classes_stay_zero(tmp_path):
    model = CaffeFCN(7, 16)
    said = copy_weights(model, write_caffemodel(tmp_path / "fcn.caffemodel", fcn_blobs(4, 16)))
    assert said == "Caffe model; left as they were: score_fr, score_pool4"
    assert not model.score_fr.weight.any()


def test_at_once_and_staged_weights_are_not_mixed(tmp_path):
    scales = (("pool4", 0.01), ("pool3", 0.0001))
    at_once = write_caffemodel(tmp_path / "at-once.caffemodel", fcn_blobs(4, 8, scales))
    staged = write_caffemodel(tmp_path / "staged.caffemodel", fcn_blobs(4, 8))
    assert copy_weights(CaffeFCN(4, 8, at_once=True), at_once) == "Caffe model"
    with pytest.raises(InputError, match=r"without layer scale_pool4.*choose caffe_fcn8s_atonce"):
        copy_weights(CaffeFCN(4, 8, at_once=True), staged)
    with pytest.raises(InputError, match=r"with layer scale_pool4.*the model is one without"):
        copy_weights(CaffeFCN(4, 8), at_once)


def test_depth_starts_as_the_mean_of_the_colours(tmp_path):
    layers = classifier_blobs()
    model = CaffeFCN(2, 32, in_channels=4)
    copy_weights(model, write_caffemodel(tmp_path / "vgg16.caffemodel", layers))
    filters = layers["conv1_1"][0]
    assert np.array_equal(model.conv1_1.weight[:, :3].detach(), filters)
    np.testing.assert_allclose(model.conv1_1.weight[:, 3].detach(), filters.mean(axis=1), rtol=1e-6)
    # NYUD's trained networks call that layer conv1_1_bgrd.
    layers["conv1_1_bgrd"] = [random(TABLE["conv1_1"], 4, 3, 3), layers.pop("conv1_1")[1]]
    copy_weights(model, write_caffemodel(tmp_path / "nyud.caffemodel", layers))
    assert np.array_equal(model.conv1_1.weight.detach(), layers["conv1_1_bgrd"][0])


def torchvision_vgg16():
    """The features of torchvision's VGG16 with the narrow table, and its state dict with a classifier."""
    layers, channels = [], 3
    for name, out_channels in TABLE.items():
        if name.startswith("conv"):
            layers += [nn.Conv2d(channels, out_channels, 3, padding=1), nn.ReLU()]
            nn.init.kaiming_normal_(layers[-2].weight)
        elif name.startswith("pool"):
            layers += [nn.MaxPool2d(2)]
        channels = out_channels
    features = nn.Sequential(*layers)
    state = {f"features.{name}": tensor for name, tensor in features.state_dict().items()}
    sizes = {0: (TABLE["fc6"], TABLE["pool5"] * 49), 3: (TABLE["fc7"], TABLE["fc6"]), 6: (10, TABLE["fc7"])}
    for index, shape in sizes.items():
        state[f"classifier.{index}.weight"] = torch.from_numpy(random(*shape))
        state[f"classifier.{index}.bias"] = torch.from_numpy(random(shape[0]))
    return features, state


def test_torchvisions_vgg16_sees_the_same_in_caffes_pictures(tmp_path):
    """Equal features where no padding is seen, though one reads (x - mean) / std and the other 255 x - mean, BGR."""
    torch.manual_seed(3)
    features, state = torchvision_vgg16()
    torch.save(state, tmp_path / "vgg16.pth")
    model = CaffeFCN(2, 32).eval()
    said = copy_weights(model, tmp_path / "vgg16.pth")
    assert said == "torchvision VGG16; left as they were: score_fr; dropped: classifier.6"
    pictures = torch.randint(0, 256, (1, 3, 160, 160), dtype=torch.uint8)
    seen = {}
    for name in ("conv1_1", "pool3"):
        model.get_submodule(name).register_forward_hook(
            lambda _, __, out, name=name: seen.update({name: out})
        )
    model(CAFFE_PREPROCESSING(pictures))
    theirs = Preprocessing()(pictures)
    # Padding by 100 puts pixel 0 in cell 99 of the first layer. Its ReLU works in place.
    torch.testing.assert_close(
        seen["conv1_1"][:, :, 100:258, 100:258], features[:2](theirs)[:, :, 1:-1, 1:-1], rtol=1e-4, atol=1e-4
    )
    # From pixel 5 on the grids of pool3 agree: 99 + 5 = 8 * 13. Its cells see 18 pixels around them.
    pool3 = features[:17](theirs[:, :, 5:, 5:])
    assert pool3.abs().max() > 0.1
    torch.testing.assert_close(
        seen["pool3"][:, :, 16:29, 16:29], pool3[:, :, 3:16, 3:16], rtol=1e-3, atol=1e-3
    )
    assert torch.equal(model.fc6.weight.flatten(1), state["classifier.0.weight"])


def test_torchvisions_names_are_the_real_ones():
    """The narrow state dict above has exactly the keys of torchvision's own VGG16, and its shapes times 32."""
    from torchvision.models import vgg16

    with torch.device("meta"):
        real = {name: tuple(tensor.shape) for name, tensor in vgg16(weights=None).state_dict().items()}
    assert real.keys() == torchvision_vgg16()[1].keys()
    assert real["classifier.0.weight"] == (4096, 25088)


@pytest.mark.parametrize(
    ("spoil", "said"),
    [
        (lambda s: s.pop("features.28.bias"), r"no features.28 with weight and bias for layer conv5_3.*expected vgg16"),
        (lambda s: s.pop("classifier.0.weight"), r"no classifier.0 .* for layer fc6.*without classifier"),
        (
            lambda s: s.update({"features.10.weight": torch.zeros(4, 4, 3, 3)}),
            r"weight of layer conv3_1 has shape \(4, 4, 3, 3\), expected \(8, 4, 3, 3\); give weights of VGG16",
        ),
        (
            lambda s: s.update({"features.0.weight": torch.zeros(2, 3, 11, 11)}),
            r"weight of layer conv1_1 has shape \(2, 3, 11, 11\), expected \(2, 3, 3, 3\)",
        ),
        (lambda s: s["classifier.3.weight"].fill_(torch.nan), r"weight of layer fc7 is not finite"),
    ],
)  # fmt: skip
def test_what_is_not_a_vgg16_is_refused_and_nothing_is_changed(tmp_path, spoil, said):
    state = torchvision_vgg16()[1]
    spoil(state)
    torch.save(state, tmp_path / "odd.pth")
    model = CaffeFCN(2, 32)
    before = {name: tensor.clone() for name, tensor in model.state_dict().items()}
    with pytest.raises(InputError, match="odd.pth.*" + said):
        copy_weights(model, tmp_path / "odd.pth")
    assert all(torch.equal(before[name], tensor) for name, tensor in model.state_dict().items())


def test_weights_of_another_architecture_are_named(tmp_path):
    torch.save(
        {"conv1.weight": torch.zeros(64, 3, 7, 7), "bn1.bias": torch.zeros(64)}, tmp_path / "resnet.pth"
    )
    with pytest.raises(InputError, match=r"no weight for layer conv1_1|no weight of layer conv1_1"):
        copy_weights(CaffeFCN(2, 32), tmp_path / "resnet.pth")


def test_torchvisions_alexnet_is_not_caffes(tmp_path):
    torch.save({"features.0.weight": torch.zeros(64, 3, 11, 11)}, tmp_path / "alexnet.pth")
    with torch.device("meta"):
        model = CaffeAlexNet(2)
    with pytest.raises(
        InputError, match=r"layer conv1 .*\(64, 3, 11, 11\), expected \(96, 3, 11, 11\).*one column"
    ):
        copy_weights(model, tmp_path / "alexnet.pth")


def test_trained_upsampling_is_refused(tmp_path):
    for spoil in (lambda a: a.fill(0), lambda a: a[0, 1].fill(0.5)):
        layers = fcn_blobs(4, 16)
        spoil(layers["upscore2"][0])
        file = write_caffemodel(tmp_path / "trained.caffemodel", layers)
        with pytest.raises(InputError, match=r"layer upscore2, of shape \(4, 4, 4, 4\), is not the bilinear"):
            copy_weights(CaffeFCN(4, 16), file)


def test_none_a_missing_file_and_pretrained(tmp_path, monkeypatch):
    model = CaffeFCN(2, 32)
    before = model.conv3_1.weight.clone()
    assert load_caffe_weights(model, "none") is model
    assert torch.equal(before, model.conv3_1.weight)
    with pytest.raises(ConfigError, match="no backbone weights at"):
        load_caffe_weights(model, tmp_path / "absent.caffemodel")
    with torch.device("meta"):
        alexnet = CaffeAlexNet(2)
    with pytest.raises(ConfigError, match=r"two-column AlexNet; give bvlc_reference_caffenet.caffemodel"):
        load_caffe_weights(alexnet, "pretrained")
    state = torchvision_vgg16()[1]
    from torchvision.models import VGG16_Weights

    monkeypatch.setattr(VGG16_Weights, "get_state_dict", lambda *_, **__: state)
    assert np.array_equal(
        load_caffe_weights(model, "pretrained").fc6.bias.detach(), state["classifier.0.bias"]
    )

    def offline(*_, **__):
        raise OSError("no route to host")

    monkeypatch.setattr(VGG16_Weights, "get_state_dict", offline)
    with pytest.raises(
        RunError, match=r"no pretrained weights .*no route to host.*give --backbone-weights FILE"
    ):
        load_caffe_weights(model, "pretrained")


def test_alexnets_real_names_and_shapes(tmp_path):
    """bvlc_reference_caffenet.caffemodel: grouped convolutions and InnerProduct layers, 4 of them with 57 M weights."""
    shapes = {
        "conv1": (96, 3, 11, 11), "conv2": (256, 48, 5, 5), "conv3": (384, 256, 3, 3), "conv4": (384, 192, 3, 3),
        "conv5": (256, 192, 3, 3), "fc6": (4096, 9216), "fc7": (4096, 4096), "fc8": (1000, 4096),
    }  # fmt: skip
    file = tmp_path / "bvlc_reference_caffenet.caffemodel"
    write_sparse(file, shapes, {"conv5": 0.25})
    model = CaffeAlexNet(2)
    assert copy_weights(model, file) == "Caffe model; left as they were: score_fr; dropped: fc8"
    assert (model.conv5.weight == 0.25).all()
    assert not model.fc6.weight.any()


@pytest.mark.long
def test_vgg16s_real_names_and_shapes(tmp_path):
    shapes, channels = {}, 3
    for name in CONVOLUTIONS:
        shapes[name] = (VGG16[name], channels, 3, 3)
        channels = VGG16[name]
    shapes |= {"fc6": (4096, 25088), "fc7": (4096, 4096), "fc8": (1000, 4096)}
    file = tmp_path / "VGG_ILSVRC_16_layers.caffemodel"
    write_sparse(file, shapes, {"conv1_1": 0.5, "fc7": -0.25})
    assert file.stat().st_size > 500_000_000
    model = CaffeFCN(21, 8)
    said = copy_weights(model, file)
    assert said == "Caffe model; left as they were: score_fr, score_pool4, score_pool3; dropped: fc8"
    assert (model.fc7.weight == -0.25).all()
    assert not model.fc6.weight.any()


def varint(value):
    encoded = b""
    while value > 127:
        encoded, value = encoded + bytes([value & 127 | 128]), value >> 7
    return encoded + bytes([value])


def field(number, content):
    return varint(number << 3 | 2) + varint(len(content)) + content


def write_sparse(file, shapes, values):
    """A .caffemodel of any size at once: weights are holes in the file, or one value each."""
    with file.open("wb") as stream:
        for name, shape in shapes.items():
            head = field(1, name.encode())
            for dims in (shape, shape[:1]):
                size = 4 * int(np.prod(dims))
                before = field(7, field(1, b"".join(map(varint, dims)))) + varint(5 << 3 | 2) + varint(size)
                head += varint(7 << 3 | 2) + varint(len(before) + size) + before
                if dims is shape:
                    weights_at, head_end, head = head, size, b""
            whole = len(weights_at) + head_end + len(head) + 4 * shape[0]
            stream.write(varint(100 << 3 | 2) + varint(whole) + weights_at)
            if name in values:
                stream.write(struct.pack("<f", values[name]) * (head_end // 4))
            else:
                stream.seek(head_end, 1)
            stream.write(head)
            stream.seek(4 * shape[0], 1)
        stream.truncate()


# Damaged and hostile files


def small_model(folder, **options):
    layers = {"conv1_1": [random(2, 3, 3, 3), random(2)], "fc6": [random(3, 4), random(3)]}
    return write_caffemodel(folder / "small.caffemodel", layers, **options)


def test_reading_gives_names_shapes_and_numbers(tmp_path):
    read = read_caffemodel(small_model(tmp_path))
    assert {name: [blob.shape for blob in blobs] for name, blobs in read.items()} == {
        "conv1_1": [(2, 3, 3, 3), (2,)],
        "fc6": [(3, 4), (3,)],
    }
    assert np.array_equal(read["fc6"][0], random(3, 4))


def test_runs_of_single_weights_longer_than_a_chunk(tmp_path):
    many = random(3, 5000)
    file = write_caffemodel(tmp_path / "old.caffemodel", {"fc": [many]}, packed=False)
    assert np.array_equal(read_caffemodel(file)["fc"][0], many)


def test_a_truncation_is_one_clear_error(tmp_path):
    whole = small_model(tmp_path).read_bytes()
    names = read_caffemodel(tmp_path / "small.caffemodel").keys()
    cut = tmp_path / "cut.caffemodel"
    for length in range(0, len(whole), 3):
        cut.write_bytes(whole[:length])
        try:
            # A file cut exactly behind a layer is a shorter model.
            assert read_caffemodel(cut).keys() < names
        except InputError as error:
            assert str(cut) in str(error)  # noqa: PT017
            assert "\n" not in str(error)  # noqa: PT017


@settings(max_examples=100, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(data=st.data())
def test_a_mutated_file_is_read_or_refused_never_worse(tmp_path, data):
    whole = bytearray(small_model(tmp_path, packed=data.draw(st.booleans())).read_bytes())
    for _ in range(data.draw(st.integers(1, 4))):
        at = data.draw(st.integers(0, len(whole) - 1))
        whole[at : at + data.draw(st.integers(0, 3))] = data.draw(st.binary(max_size=5))
    file = tmp_path / "mutated.caffemodel"
    file.write_bytes(whole)
    try:
        for blobs in read_caffemodel(file).values():
            assert all(isinstance(blob, np.ndarray) for blob in blobs)
    except InputError as error:
        assert str(file) in str(error)  # noqa: PT017


@settings(max_examples=100, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(content=st.binary(max_size=200))
def test_noise_is_refused(tmp_path, content):
    file = tmp_path / "noise.caffemodel"
    file.write_bytes(content)
    with pytest.raises(InputError, match=re.escape(str(file))):
        read_caffemodel(file)


def blob(*parts):
    return field(100, field(1, b"fc6") + field(7, b"".join(parts)))


@pytest.mark.parametrize(
    ("content", "said"),
    [
        (b"", "cannot be read"),
        (field(100, field(1, b"pool1")), "no layer in it has weights"),
        (varint(100 << 3 | 2) + varint(2**62) + b"x", "field 100 at byte .* ends 4611686018427387903 bytes behind"),
        (b"\xff" * 30, "begins a number that does not end"),
        (b"\x0b\x0b", "unknown wire type 3"),
        (blob(field(5, b"123")), "3 bytes at byte .* are no whole number of weights"),
        (blob(field(7, field(1, varint(2**40) * 2)), field(5, b"1234")), r"shape \[1099511627776, 1099511627776\].* 1 num"),
        (blob(field(7, field(1, varint(0) + varint(2**69))), field(5, b"")), "has 0 numbers"),
        (blob(field(7, field(1, varint(1) * 33)), field(5, b"1234")), "more than 32 axes"),
        (blob(field(7, field(1, varint(1))), field(5, b"1234")) * 2, "two layers 'fc6' with weights"),
    ],
)  # fmt: skip
def test_hostile_files_say_what_is_wrong(tmp_path, content, said):
    file = tmp_path / "hostile.caffemodel"
    file.write_bytes(content)
    with pytest.raises(InputError, match=said):
        read_caffemodel(file)


def test_the_number_of_fields_is_bounded(tmp_path, monkeypatch):
    monkeypatch.setattr(caffemodel, "MOST_FIELDS", 1000)
    file = tmp_path / "many.caffemodel"
    file.write_bytes(b"\x08\x01" * 1001)
    with pytest.raises(InputError, match="more than 1000 fields"):
        read_caffemodel(file)


def test_a_folder_or_nothing_is_refused(tmp_path):
    for file in (tmp_path, tmp_path / "absent.caffemodel"):
        with pytest.raises(InputError, match="cannot be read"):
            read_caffemodel(file)


def test_the_table_of_layers_is_one():
    assert caffe_weights.VGG16 is VGG16
