import json
import sys
import types

import pytest
import torch
import torch.nn.functional as F
from safetensors.torch import save_file

from spark_ros.contracts import SparkError
from spark_ros.encoders.weights import load_vit, load_weights

WIDTH, HEADS, DEPTH, GRID = 32, 4, 3, 5


def huggingface_checkpoint(folder, registers=0):
    """A small checkpoint with the tensor names of transformers' Dinov2Model, and a config.json beside it."""
    generator = torch.Generator().manual_seed(1)
    tensors = {
        "embeddings.cls_token": (1, 1, WIDTH),
        "embeddings.mask_token": (1, WIDTH),
        "embeddings.position_embeddings": (1, 1 + GRID**2, WIDTH),
        "embeddings.patch_embeddings.projection.weight": (WIDTH, 3, 14, 14),
        "embeddings.patch_embeddings.projection.bias": (WIDTH,),
        "layernorm.weight": (WIDTH,),
        "layernorm.bias": (WIDTH,),
    }
    if registers:
        tensors["embeddings.register_tokens"] = (1, registers, WIDTH)
    for i in range(DEPTH):
        layer = f"encoder.layer.{i}"
        for name in ("norm1", "norm2"):
            tensors |= {f"{layer}.{name}.weight": (WIDTH,), f"{layer}.{name}.bias": (WIDTH,)}
        for name in ("attention.query", "attention.key", "attention.value", "output.dense"):
            tensors |= {f"{layer}.attention.{name}.weight": (WIDTH, WIDTH), f"{layer}.attention.{name}.bias": (WIDTH,)}
        tensors |= {f"{layer}.layer_scale1.lambda1": (WIDTH,), f"{layer}.layer_scale2.lambda1": (WIDTH,)}
        tensors |= {f"{layer}.mlp.fc1.weight": (4 * WIDTH, WIDTH), f"{layer}.mlp.fc1.bias": (4 * WIDTH,)}
        tensors |= {f"{layer}.mlp.fc2.weight": (WIDTH, 4 * WIDTH), f"{layer}.mlp.fc2.bias": (WIDTH,)}
    values = {name: 0.2 * torch.randn(shape, generator=generator) for name, shape in tensors.items()}
    folder.mkdir(exist_ok=True)
    save_file(values, folder / "model.safetensors")
    (folder / "config.json").write_text(json.dumps({"num_attention_heads": HEADS}))
    return values


def reference_tokens(p, images):
    """Dinov2Model's last hidden state written out from its published names, at the checkpoint's own image size."""

    def linear(x, name):
        return F.linear(x, p[f"{name}.weight"], p[f"{name}.bias"])

    def norm(x, name):
        return F.layer_norm(x, (WIDTH,), p[f"{name}.weight"], p[f"{name}.bias"], eps=1e-6)

    projection = "embeddings.patch_embeddings.projection"
    patches = F.conv2d(images, p[f"{projection}.weight"], p[f"{projection}.bias"], stride=14).flatten(2).mT
    x = torch.cat([p["embeddings.cls_token"].expand(len(images), -1, -1), patches], 1)
    x = x + p["embeddings.position_embeddings"]
    if "embeddings.register_tokens" in p:
        x = torch.cat([x[:, :1], p["embeddings.register_tokens"].expand(len(images), -1, -1), x[:, 1:]], 1)
    for i in range(DEPTH):
        layer = f"encoder.layer.{i}"
        y = norm(x, f"{layer}.norm1")
        q, k, v = (
            linear(y, f"{layer}.attention.attention.{n}").unflatten(-1, (HEADS, -1)).transpose(1, 2)
            for n in ("query", "key", "value")
        )
        attention = torch.softmax(q @ k.mT / (WIDTH // HEADS) ** 0.5, dim=-1) @ v
        y = linear(attention.transpose(1, 2).flatten(2), f"{layer}.attention.output.dense")
        x = x + p[f"{layer}.layer_scale1.lambda1"] * y
        y = F.gelu(linear(norm(x, f"{layer}.norm2"), f"{layer}.mlp.fc1"))
        x = x + p[f"{layer}.layer_scale2.lambda1"] * linear(y, f"{layer}.mlp.fc2")
    return norm(x, "layernorm")


@pytest.mark.parametrize("registers", [0, 4])
def test_huggingface_checkpoint_gives_the_published_models_tokens(tmp_path, registers):
    published = huggingface_checkpoint(tmp_path / "dino", registers)
    images = torch.randn(2, 3, 14 * GRID, 14 * GRID, generator=torch.Generator().manual_seed(2))
    vit, _ = load_vit(f"hf:{tmp_path / 'dino'}", 14 * GRID)
    with torch.no_grad():
        ours = vit.norm(vit(images)[DEPTH])
    torch.testing.assert_close(ours, reference_tokens(published, images), atol=1e-5, rtol=1e-5)


def test_position_embedding_is_resized_once_when_weights_are_loaded(tmp_path):
    huggingface_checkpoint(tmp_path / "dino")
    vit, _ = load_vit(f"hf:{tmp_path / 'dino'}", 112)
    assert vit.pos_embed.shape == (1, 1 + 64, WIDTH)
    assert vit(torch.zeros(1, 3, 112, 112))[DEPTH].shape == (1, 65, WIDTH)


def test_asking_for_a_block_runs_no_later_block(tmp_path):
    huggingface_checkpoint(tmp_path / "dino")
    vit, _ = load_vit(f"hf:{tmp_path / 'dino'}", 70)
    vit.blocks[2].register_forward_hook(lambda *_: pytest.fail("block 3 ran"))
    assert sorted(vit(torch.zeros(1, 3, 70, 70), blocks=[0, 2])) == [0, 2]


def test_random_weights_depend_on_the_seed_alone():
    first, again, other = (load_weights(f"random:{seed}") for seed in (3, 3, 4))
    assert first.sha256 == again.sha256 != other.sha256
    assert first.config.width == 384


def without_a_tensor(folder):
    values = huggingface_checkpoint(folder)
    del values["encoder.layer.1.attention.attention.key.weight"]
    save_file(values, folder / "model.safetensors")


def of_another_model(folder):
    folder.mkdir()
    save_file({"vision_model.x": torch.zeros(1)}, folder / "model.safetensors")


def with_an_extra_tensor(folder):
    values = huggingface_checkpoint(folder)
    save_file({**values, "encoder.layer.0.mlp.weights_in.weight": torch.zeros(1)}, folder / "model.safetensors")


def truncated(folder):
    huggingface_checkpoint(folder)
    file = folder / "model.safetensors"
    file.write_bytes(file.read_bytes()[:1000])


@pytest.mark.parametrize(
    ("spoil", "says"),
    [
        (lambda folder: None, "no weights at"),
        (without_a_tensor, "lacks encoder.layer.1.attention.attention.key.weight"),
        (of_another_model, "not a DINOv2 checkpoint"),
        (with_an_extra_tensor, "blocks.0.mlp.weights_in.weight"),
        (truncated, "not a readable safetensors file"),
    ],
)
def test_unusable_checkpoint_is_refused_in_one_sentence(tmp_path, spoil, says):
    spoil(tmp_path / "dino")
    with pytest.raises(SparkError, match=says) as caught:
        load_vit(f"hf:{tmp_path / 'dino'}", 70)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize("source", ["", "hf:", "dinov2", "random:x", "random:1:huge"])
def test_unknown_source_is_refused(source):
    with pytest.raises(SparkError, match="use"):
        load_weights(source)


def test_image_size_that_is_no_multiple_of_the_patch_is_refused():
    with pytest.raises(SparkError, match=r"not a multiple .* 112"):
        load_vit("random:0", 120)


def test_hub_id_without_the_client_says_what_to_install(monkeypatch):
    monkeypatch.setitem(sys.modules, "huggingface_hub", None)
    with pytest.raises(SparkError, match="pip install huggingface_hub"):
        load_weights("hub:facebook/dinov2-small")


def test_hub_id_without_connection_says_so(monkeypatch):
    def snapshot_download(*_, **__):
        raise ConnectionError("no route to host")

    monkeypatch.setitem(sys.modules, "huggingface_hub", types.SimpleNamespace(snapshot_download=snapshot_download))
    with pytest.raises(SparkError, match=r"could not fetch facebook/dinov2-small .* check the id and the connection"):
        load_weights("hub:facebook/dinov2-small")


def test_hub_id_loads_what_the_client_fetched(tmp_path, monkeypatch):
    huggingface_checkpoint(tmp_path / "snapshot")
    client = types.SimpleNamespace(snapshot_download=lambda *_, **__: str(tmp_path / "snapshot"))
    monkeypatch.setitem(sys.modules, "huggingface_hub", client)
    assert load_weights("hub:someone/small").config.width == WIDTH
