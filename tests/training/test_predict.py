"""A trained network on images: what it says agrees with what was measured."""

from __future__ import annotations

import csv
import shutil
from pathlib import Path

import numpy as np
import pytest

import dhc
from dhc.errors import DhcError
from dhc.runtime.data.images import read_image
from dhc.training.predict import Predictor
from dhc.training.session import Trained, reopen
from dhc.training.summaries import Meaning, summarise

SPOTS = """import "std/losses.dhm"
pipeline plain(image: image[1], mask: mask) { to_float() normalize(mean=0.4, std=0.3) }

model Both() {
    input image: f32[N, 1, H, W]
    x = image -> conv(4, kernel=3, pad=1) -> relu()
    output spot = x -> conv(1, kernel=1) -> sigmoid()
    output logits = x -> global_avgpool() -> flatten() -> dense(2)
}

train spots {
    model = Both
    data = dataset("labels.csv", train=plain, val=plain)
    loss = cross_entropy(out.logits, data.label) + reduce_mean(dice_loss(out.spot, data.mask))
    metrics = [accuracy(out.logits, data.label), dice(out.spot, data.mask)]
    optimizer = adam(lr=3e-2)
    epochs = 6
    batch = 8
    seed = 3
}
"""


@pytest.fixture(scope="module")
def trained(tmp_path_factory: pytest.TempPathFactory) -> Trained:
    """A network that was trained to find spots in 24 images; 12 more are for validation."""
    from PIL import Image

    folder = tmp_path_factory.mktemp("spots")
    random = np.random.default_rng(0)
    rows = ["image,mask,label,split,patient"]
    for k in range(36):
        with_spot = k % 2 == 1
        mask = np.zeros((8, 8), np.uint8)
        mask[2 : 2 + 4 * with_spot, 3:7] = 255
        image = np.clip(random.normal(60 + 0.5 * mask, 15), 0, 255).astype(np.uint8)
        part = "train" if k < 24 else "val"
        home = folder / f"p{k // 4}"
        home.mkdir(exist_ok=True)
        Image.fromarray(image).save(home / f"{k % 4}.png")
        Image.fromarray(mask).save(home / f"{k % 4}_mask.png")
        label = "spot" if with_spot else "none of it"
        rows.append(f"p{k // 4}/{k % 4}.png,p{k // 4}/{k % 4}_mask.png,{label},{part},p{k // 4}")
    (folder / "labels.csv").write_text("\n".join(rows) + "\n")
    (folder / "spots.dhm").write_text(SPOTS)
    return dhc.train(dhc.load(folder / "spots.dhm"), out=folder / "run")


def _table(path: Path) -> list[dict[str, str]]:
    with path.open(newline="", encoding="utf-8") as file:
        return list(csv.DictReader(file))


def test_classes_agree_with_the_accuracy_that_was_measured(
    trained: Trained, tmp_path: Path
) -> None:
    found = dhc.predict(trained.folder, part="val", out=tmp_path)
    assert len(found) == 12
    rows = [row for row in _table(tmp_path / "predictions.csv") if row["output"] == "logits"]
    right = np.mean([row["class"] == row["truth"] for row in rows])
    assert right == trained.results["val"].metrics["accuracy"].interval.value
    assert {row["truth"] for row in rows} == {"spot", "none of it"}
    assert all(0.5 <= float(row["probability"]) <= 1 for row in rows)


def test_maps_agree_with_the_network_that_was_measured(trained: Trained) -> None:
    job = reopen(trained.folder).job
    ((_, outputs),) = job.apply(job.part("val"), [3])
    found = dhc.predict(trained.folder, part="val")[3]
    assert np.allclose(found.outputs["spot"], outputs["spot"], atol=1e-6)
    assert np.allclose(found.outputs["logits"], outputs["logits"], atol=1e-5)


def test_files_are_read_as_the_data_set_reads_them(trained: Trained) -> None:
    file = trained.folder.parent / "p8" / "3.png"
    (one,) = dhc.predict(trained.folder, [file])
    other = dhc.predict(trained.folder, part="val")[-1]
    assert np.array_equal(one.outputs["logits"], other.outputs["logits"])
    assert one.image.name == "3.png"
    assert one.summaries[1].truth == ""


def test_arrays_are_images_too(trained: Trained, tmp_path: Path) -> None:
    image = read_image(trained.folder.parent / "p8" / "3.png").array
    np.save(tmp_path / "3.npy", image)
    (one,) = dhc.predict(trained.folder, [tmp_path / "3.npy"])
    (other,) = dhc.predict(trained.folder, [trained.folder.parent / "p8" / "3.png"])
    assert np.array_equal(one.outputs["spot"], other.outputs["spot"])


def test_every_output_of_every_image_has_its_files(trained: Trained, tmp_path: Path) -> None:
    """Images of the same name in several folders do not write over each other."""
    files = [trained.folder.parent / patient / "0.png" for patient in ("p7", "p8")]
    dhc.predict(trained.folder, files, out=tmp_path)
    names = {path.name for path in tmp_path.iterdir()}
    assert names == {
        "0_spot.png", "0_spot.npy", "0_logits.npy",
        "0-2_spot.png", "0-2_spot.npy", "0-2_logits.npy",
        "table.csv", "predictions.csv",
    }  # fmt: skip


def test_the_data_may_be_gone(trained: Trained, tmp_path: Path) -> None:
    """What a run needs for images is in its folder; only parts of the data need the data."""
    (trained.folder.parent / "labels.csv").rename(tmp_path / "labels.csv")
    try:
        found = dhc.predict(trained.folder, [trained.folder.parent / "p8" / "3.png"])
        assert found[0].summaries[1].label in ("spot", "none of it")
        with pytest.raises(DhcError, match="There is no data set"):
            dhc.predict(trained.folder, part="val")
    finally:
        (tmp_path / "labels.csv").rename(trained.folder.parent / "labels.csv")


def test_an_image_that_does_not_fit_is_named(trained: Trained, tmp_path: Path) -> None:
    np.save(tmp_path / "rgb.npy", np.zeros((3, 8, 8), np.uint8))
    with pytest.raises(DhcError, match=r"'rgb\.npy' does not fit"):
        dhc.predict(trained.folder, [tmp_path / "rgb.npy"])


@pytest.mark.parametrize("pipeline", ["plain", "varied"])
def test_only_a_pipeline_that_varies_nothing_stands_in_for_one_of_evaluation(
    trained: Trained, tmp_path: Path, pipeline: str
) -> None:
    """A run whose data name a pipeline for training alone; its folder is copied and changed."""
    run = tmp_path / "run"
    shutil.copytree(trained.folder, run)
    varied = "pipeline varied(image: image[1], mask: mask) { to_float() rotate(-9deg .. 9deg) }"
    text = SPOTS.replace("train=plain, val=plain", f"train={pipeline}") + varied
    (run / "program" / "spots.dhm").write_text(text)
    image = trained.folder.parent / "p8" / "3.png"
    if pipeline == "plain":
        (one,), (other,) = dhc.predict(run, [image]), dhc.predict(trained.folder, [image])
        assert np.array_equal(one.outputs["spot"], other.outputs["spot"])
        return
    with pytest.raises(DhcError, match="no pipeline for images but 'varied', which varies them"):
        dhc.predict(run, [image])


def test_a_run_without_weights_is_refused(trained: Trained, tmp_path: Path) -> None:
    (tmp_path / "run.json").write_bytes((trained.folder / "run.json").read_bytes())
    with pytest.raises(DhcError, match="has no weights yet"):
        Predictor(tmp_path)
    with pytest.raises(DhcError, match="holds no run"):
        Predictor(tmp_path / "none")


# ---- summaries -------------------------------------------------------------------------------

CLASSES = ("healthy", "ill")


def test_scores_become_probabilities_unless_they_are_some() -> None:
    scores = np.log(np.array([[0.2, 0.8]]))
    found = summarise("out", scores, Meaning("label", "label"), CLASSES, np.array(0))
    assert (found.label, found.truth) == ("ill", "healthy")
    assert found.probability == pytest.approx(0.8)
    shares = Meaning("label", "label", share=True)
    assert summarise("out", np.array([[0.7, 0.3]]), shares, CLASSES, None).probability == 0.7


@pytest.mark.parametrize(
    ("value", "label", "probability"), [(2.0, "ill", 0.8808), (-2.0, "healthy", 0.8808)]
)
def test_one_score_decides_between_two_classes(
    value: float, label: str, probability: float
) -> None:
    found = summarise("out", np.array([[value]]), Meaning("label", "label"), CLASSES, None)
    assert found.label == label
    assert found.probability == pytest.approx(probability, abs=1e-4)


def test_several_labels_stand_side_by_side() -> None:
    meaning = Meaning("labels", "labels", share=True)
    found = summarise("out", np.array([[0.9, 0.6]]), meaning, CLASSES, np.array([1, 0]))
    assert (found.label, found.probability, found.truth) == ("healthy|ill", 0.9, "healthy")


def test_a_number_is_a_value() -> None:
    found = summarise("age", np.array([[61.5]]), Meaning("age", "numbers"), (), np.array(63.0))
    assert (found.value, found.truth, found.probability) == (61.5, "63", None)


def test_a_mask_is_a_share_of_its_elements() -> None:
    mask = np.zeros((1, 1, 4, 4))
    mask[..., :2] = 0.75
    assert summarise("out", mask, Meaning(), (), None).share == 0.5
    classes = np.stack([mask[0] * 0 + 0.1, mask[0]], 1)
    assert summarise("out", classes, Meaning(), (), None).share == 0.5
