import copy

import pytest
import torch
import torch.nn.functional as F

from spark_ros.contracts import SparkError
from spark_ros.encoders.registry import build_encoder
from spark_ros.encoders.spark import SparkModel
from spark_ros.encoders.spark_encoder import save_encoder
from spark_ros.encoders.spark_losses import normalised_patches, preservation
from spark_ros.encoders.spark_options import SparkOptions

SMALL = {"weights": "random:0", "image_size": 56, "depth": 3, "decoder_depth": 1, "decoder_width": 64}


def make(**options):
    torch.manual_seed(0)
    return SparkModel(SparkOptions(**{**SMALL, **options}))


@pytest.fixture
def pair():
    generator = torch.Generator().manual_seed(1)
    return torch.randn(4, 3, 56, 56, generator=generator), torch.randn(4, 3, 56, 56, generator=generator)


def seeded():
    return torch.Generator().manual_seed(2)


def train(model, pair, steps=10, learning_rate=1e-3):
    optimiser = torch.optim.AdamW(model.parameter_groups(learning_rate, 0.0))
    for _ in range(steps):
        losses = model(*pair, seeded())
        optimiser.zero_grad()
        losses.total.backward()
        optimiser.step()
    return losses


@pytest.mark.parametrize("adaptation", ["full", "last", "lora"])
@pytest.mark.parametrize(("bottleneck", "count"), [("cls", 1), ("learned", 3)])
def test_student_starts_as_the_teacher(pair, adaptation, bottleneck, count):
    model = make(adaptation=adaptation, last_blocks=2, bottleneck=bottleneck, bottleneck_tokens=count)
    tokens = model.encode(pair[0])
    assert tokens.bottleneck.shape == (4, count, 384)
    if bottleneck == "cls":  # more tokens to attend to change the patches a little
        torch.testing.assert_close(tokens.patches, model.teacher_patches(pair[0]))
        assert model(*pair, seeded()).terms["preserve"].abs().max() < 1e-5


@pytest.mark.parametrize("adaptation", ["full", "last", "lora"])
@pytest.mark.parametrize("target", ["teacher", "pixels", "both"])
def test_training_lowers_the_loss_and_leaves_the_teacher_alone(pair, adaptation, target):
    model = make(adaptation=adaptation, last_blocks=2, target=target)
    model.calibrate(pair[0])
    before = copy.deepcopy(model.teacher.state_dict())
    first = model(*pair, seeded()).total.item()
    assert train(model, pair).total.item() < first
    for name, value in model.teacher.state_dict().items():
        torch.testing.assert_close(value, before[name], rtol=0, atol=0)


@pytest.mark.parametrize("adaptation", ["last", "lora"])
def test_only_what_is_adapted_changes(pair, adaptation):
    model = make(adaptation=adaptation, last_blocks=1)
    frozen = {name: value.clone() for name, value in model.named_parameters() if not value.requires_grad}
    train(model, pair, steps=3)
    assert frozen
    for name, value in model.named_parameters():
        if name in frozen:
            torch.testing.assert_close(value, frozen[name], rtol=0, atol=0)


def test_the_shared_pass_gives_the_losses_of_two(pair):
    shared = make(adaptation="last", last_blocks=2)
    whole = make(adaptation="full")
    whole.load_state_dict(shared.state_dict())
    a, b = shared(*pair, seeded()), whole(*pair, seeded())
    torch.testing.assert_close(a.total, b.total)
    for name in a.terms:
        torch.testing.assert_close(a.terms[name], b.terms[name])


def test_the_later_frame_reaches_the_loss_only_as_target_and_hints(pair):
    """What the decoder predicts for hidden patches does not change when only hidden pixels do."""
    model = make()
    now, later = pair
    seen = model.predict(now, later, seeded())
    hidden = ~seen.visible.view(4, 1, 4, 1, 4, 1)
    changed = torch.where(hidden, torch.zeros(()), later.view(4, 3, 4, 14, 4, 14)).view_as(later)
    again = model.predict(now, changed, seeded())
    torch.testing.assert_close(again.features, seen.features)
    assert seen.visible.sum(dim=1).tolist() == [2] * 4  # a tenth of 16 patches


def test_first_frame_reaches_the_prediction_only_through_the_bottleneck(pair):
    model = make()
    gradient = {}

    def keep(name):
        return lambda value: gradient.__setitem__(name, value)

    now = pair[0].clone().requires_grad_(True)
    tokens = model.encode(now)
    tokens.bottleneck.register_hook(keep("bottleneck"))
    prediction = model._predict(tokens.bottleneck.detach(), pair[1], seeded())
    assert not torch.autograd.grad(prediction.features.sum(), now, allow_unused=True)[0]


def test_visible_patches_depend_only_on_the_generator(pair):
    model = make()
    assert torch.equal(model.predict(*pair, seeded()).visible, model.predict(*pair, seeded()).visible)


def test_a_patch_that_moves_counts_more(pair):
    now = pair[0]
    later = now.clone()
    later[:, :, :14, :14] += 3.0
    weight = make(motion_weight=4.0)._importance(*(make().teacher_patches(x) for x in (now, later)))
    assert (weight.argmax(dim=1) == 0).all()
    assert (weight >= 1.0).all() and (weight[:, 0] > weight[:, 1:].mean(dim=1)).all()


def test_preservation_is_zero_for_the_same_and_gram_forgives_a_rotation():
    generator = torch.Generator().manual_seed(0)
    patches = torch.randn(2, 9, 8, generator=generator)
    rotation = torch.linalg.qr(torch.randn(8, 8, generator=generator))[0]
    for kind in ("cosine", "cosine+l1", "gram"):
        torch.testing.assert_close(preservation(patches, patches, kind), torch.zeros(2), atol=1e-5, rtol=0)
    assert preservation(patches @ rotation, patches, "cosine").min() > 0.3
    assert preservation(patches @ rotation, patches, "gram").max() < 1e-8


def test_pixel_targets_are_normalised_patch_by_patch():
    images = torch.arange(2 * 3 * 28 * 28, dtype=torch.float32).view(2, 3, 28, 28)
    target = normalised_patches(images, 14)
    assert target.shape == (2, 4, 588)
    torch.testing.assert_close(target.mean(dim=2), torch.zeros(2, 4), atol=1e-4, rtol=0)
    torch.testing.assert_close(target.std(dim=2), torch.ones(2, 4), atol=1e-3, rtol=0)
    top_right = images[0, :, :14, 14:].reshape(-1)
    torch.testing.assert_close(target[0, 1], (top_right - top_right.mean()) / top_right.std(), atol=1e-3, rtol=1e-3)


def test_calibration_makes_every_target_channel_count_the_same(pair):
    model = make()
    images = torch.cat(pair)
    model.calibrate(images)
    target = model.standardised_target(images).flatten(0, 1)
    torch.testing.assert_close(target.mean(dim=0), torch.zeros(384), atol=1e-3, rtol=0)
    assert target.std(dim=0).max() < 1.01


def test_layer_decay_slows_early_blocks():
    groups = make().parameter_groups(1e-3, 0.1, layer_decay=0.5, backbone_scale=0.2)
    scales = sorted({round(group["lr_scale"], 6) for group in groups})
    assert scales == [0.025, 0.05, 0.1, 0.2, 1.0]
    assert all(group["lr"] == pytest.approx(1e-3 * group["lr_scale"]) for group in groups)
    count = sum(len(group["params"]) for group in groups)
    assert count == len(list(make().trainable_parameters()))


def test_action_head_learns_from_proprioception(pair):
    torch.manual_seed(0)
    model = SparkModel(SparkOptions(**SMALL, action_head=True), proprioception_size=5)
    before, after = torch.randn(4, 5), torch.randn(4, 5)
    valid = torch.tensor([True, True, True, False])
    losses = model(*pair, seeded(), before, after, valid)
    assert losses.terms["inverse"][3] == 0.0 and losses.terms["inverse"][:3].min() > 0.0
    with pytest.raises(SparkError, match="proprioception"):
        model(*pair, seeded())
    with pytest.raises(SparkError, match="proprioception"):
        make(action_head=True)


@pytest.mark.parametrize("adaptation", ["full", "last", "lora"])
@pytest.mark.parametrize(("bottleneck", "count"), [("cls", 1), ("learned", 2)])
def test_saved_encoder_gives_the_students_tokens(tmp_path, pair, adaptation, bottleneck, count):
    model = make(adaptation=adaptation, last_blocks=2, bottleneck=bottleneck, bottleneck_tokens=count)
    train(model, pair, steps=2)
    save_encoder(model, tmp_path / "encoder.safetensors", {"steps": 2})
    expected = model.encode(pair[0])
    for tokens, wanted in (
        ("bottleneck", expected.bottleneck),
        ("patch", expected.patches),
        ("bottleneck+patch", torch.cat([expected.bottleneck, expected.patches], dim=1)),
    ):
        encoder = build_encoder({"name": "spark", "weights": str(tmp_path), "tokens": tokens})
        torch.testing.assert_close(encoder(pair[0]), wanted, atol=1e-4, rtol=1e-4)
        assert (encoder.num_tokens, encoder.token_dim) == tuple(wanted.shape[1:])
        again = build_encoder(encoder.recipe)
        torch.testing.assert_close(again(pair[0]), encoder(pair[0]), rtol=0, atol=0)
    assert F.cosine_similarity(expected.patches, model.teacher_patches(pair[0]), dim=-1).mean() < 1.0


def test_encoder_resizes_to_another_image(tmp_path):
    save_encoder(make(), tmp_path / "encoder.safetensors", {})
    encoder = build_encoder({"name": "spark", "weights": str(tmp_path), "tokens": "patch", "image_size": 84})
    assert encoder(torch.zeros(1, 3, 84, 84)).shape == (1, 36, 384)


def test_wrong_encoder_files_are_refused(tmp_path):
    with pytest.raises(SparkError, match="train encoder"):
        build_encoder({"name": "spark", "weights": str(tmp_path)})
    file = tmp_path / "encoder.safetensors"
    save_encoder(make(), file, {})
    recipe = build_encoder({"name": "spark", "weights": str(file)}).recipe
    data = bytearray(file.read_bytes())
    file.write_bytes(data[: len(data) // 2])
    with pytest.raises(SparkError, match="damaged"):
        build_encoder(recipe)
    data[-1] ^= 1
    file.write_bytes(data)
    with pytest.raises(SparkError, match="SHA-256"):
        build_encoder(recipe)
    from safetensors.torch import save_file

    save_file({"x": torch.zeros(1)}, file)
    with pytest.raises(SparkError, match="format"):
        build_encoder({"name": "spark", "weights": str(file)})


@pytest.mark.parametrize(
    ("options", "match"),
    [
        ({"adaptation": "some"}, "spark.adaptation"),
        ({"bottleneck_tokens": 2}, "learned"),
        ({"mask_ratio": 1.0}, "mask_ratio"),
        ({"dynamics_weight": 0.0, "preserve_weight": 0.0}, "both 0"),
        ({"depth": 13}, "spark.depth"),
        ({"adaptation": "last", "last_blocks": 4}, "last_blocks"),
        ({"target": "teachers"}, "spark.target"),
    ],
)
def test_impossible_options_are_refused(options, match):
    with pytest.raises(SparkError, match=match):
        make(**options)


def test_equal_encoders_make_equal_files(tmp_path):
    model, files = make(), [tmp_path / f"{number}.safetensors" for number in range(4)]
    for file in files:
        save_encoder(model, file, {"steps": 2})
    assert len({file.read_bytes() for file in files}) == 1
