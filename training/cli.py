"""``python -m training train``, ``export`` and ``study``."""

from __future__ import annotations

import dataclasses
import sys
from enum import Enum
from pathlib import Path
from typing import Annotated, Any

import typer
from rich.console import Console

from training.config import (
    DATASETS,
    DEVICES,
    DROPOUT_PLACES,
    INITS,
    MODELS,
    SCALINGS,
    TrainConfig,
    parse_sizes,
)
from training.errors import ConfigError, TrainingError
from training.study.command import study

app = typer.Typer(
    help="Train the networks of the reference paper and export them to ONNX.",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"]},
)


def _enum(name: str, values: tuple[str, ...]) -> type[Enum]:
    return Enum(name, {value: value for value in values}, type=str)


DataName, ModelName = _enum("DataName", DATASETS), _enum("ModelName", MODELS)
InitName, PlaceName = _enum("InitName", INITS), _enum("PlaceName", DROPOUT_PLACES)
ScalingName, DeviceName = _enum("ScalingName", SCALINGS), _enum("DeviceName", DEVICES)
ExporterName = _enum("ExporterName", ("dynamo", "torchscript"))

_DEFAULT = TrainConfig()
_DataDir = Annotated[
    Path | None,
    typer.Option(
        help="Folder of the data files; downloads go there. (default: ~/.cache/onnxdup-training)",
        show_default=False,
    ),
]
_Quiet = Annotated[bool, typer.Option("-q", "--quiet", help="Only errors.")]


@app.command()
def train(
    context: typer.Context,
    data: Annotated[DataName, typer.Option(help="Data set.")] = DataName(_DEFAULT.data),
    model: Annotated[ModelName, typer.Option(help="Network.")] = ModelName(_DEFAULT.model),
    widths: Annotated[
        str,
        typer.Option(
            metavar="N,N,…",
            help="Hidden widths (mlp), channels (others). (default: the paper's)",
            show_default=False,
        ),
    ] = "",
    fc: Annotated[
        str,
        typer.Option(
            metavar="N,N,…",
            help="Fully connected widths of cnn and vgg. (default: 120,84 and 128)",
            show_default=False,
        ),
    ] = "",
    depth: Annotated[int, typer.Option(help="Layers of resnet: 8, 20, 32, 44, 56, …")] = _DEFAULT.depth,
    dropout: Annotated[
        float, typer.Option(help="Share of hidden units dropped in training.")
    ] = _DEFAULT.dropout,
    dropout_at: Annotated[
        PlaceName,
        typer.Option(
            help="Of the fully connected layers, drop units of all hidden ones, the first or last, or inputs."
        ),
    ] = PlaceName(_DEFAULT.dropout_at),
    batchnorm: Annotated[
        bool | None,
        typer.Option(
            "--batchnorm/--no-batchnorm",
            help="Batch normalisation. (default: only resnet)",
            show_default=False,
        ),
    ] = None,
    scaling: Annotated[
        ScalingName,
        typer.Option(
            help="Inputs in 0…1, in -1…1, minus the channel means, or also divided by their deviations."
        ),
    ] = ScalingName(_DEFAULT.scaling),
    epochs: Annotated[int, typer.Option(help="Passes over the training set.")] = _DEFAULT.epochs,
    batch: Annotated[int, typer.Option(help="Images per step.")] = _DEFAULT.batch,
    lr: Annotated[float, typer.Option(help="Learning rate of the first epoch.")] = _DEFAULT.lr,
    lr_decay: Annotated[
        float, typer.Option(help="Factor on the learning rate after each epoch.")
    ] = _DEFAULT.lr_decay,
    momentum: Annotated[float, typer.Option(help="Momentum of SGD.")] = _DEFAULT.momentum,
    weight_decay: Annotated[
        float, typer.Option(help="L2 penalty on the parameters.")
    ] = _DEFAULT.weight_decay,
    decay_biases: Annotated[
        bool,
        typer.Option("--decay-biases/--spare-biases", help="Weight decay on biases and other vectors too."),
    ] = _DEFAULT.decay_biases,
    augment: Annotated[
        bool, typer.Option("--augment", help="Random crops and mirror images.")
    ] = _DEFAULT.augment,
    seed: Annotated[
        int, typer.Option(help="Of initial weights, order, dropout and augmentation.")
    ] = _DEFAULT.seed,
    device: Annotated[DeviceName, typer.Option(help="Where to train.")] = DeviceName(_DEFAULT.device),
    threads: Annotated[int, typer.Option(help="CPU threads; 0 leaves it to torch.")] = _DEFAULT.threads,
    limit: Annotated[int, typer.Option(help="Train on the first so many images; 0: all.")] = _DEFAULT.limit,
    kernel: Annotated[
        str,
        typer.Option(
            metavar="H,W",
            help="Kernel of the convolutions of cnn. (default: 5,5; 3,3 for small images)",
            show_default=False,
        ),
    ] = "",
    init: Annotated[InitName, typer.Option(help="Initial weights.")] = InitName(_DEFAULT.init),
    twins: Annotated[
        int, typer.Option(help="Different filters that the first layer starts with; 0: all.")
    ] = _DEFAULT.twins,
    twin_noise: Annotated[
        float, typer.Option(help="Noise on equal initial filters, as a share of their deviation.")
    ] = _DEFAULT.twin_noise,
    decov: Annotated[
        float, typer.Option(help="Strength of DeCov on the fully connected layers.")
    ] = _DEFAULT.decov,
    orthoreg: Annotated[
        float, typer.Option(help="Strength of OrthoReg on all hidden filters.")
    ] = _DEFAULT.orthoreg,
    mergeable: Annotated[
        float, typer.Option(help="Strength of the pull of near-duplicates onto each other.")
    ] = _DEFAULT.mergeable,
    mergeable_tau: Annotated[
        float, typer.Option(help="Cosine from which filters pull each other.")
    ] = _DEFAULT.mergeable_tau,
    snap: Annotated[
        float,
        typer.Option(help="At the end, make filters from this cosine on exact duplicates; 0: no snap."),
    ] = _DEFAULT.snap,
    out: Annotated[
        Path | None,
        typer.Option(
            "-o", "--out", help="Folder of the run. (default: runs/DATA-MODEL-sSEED)", show_default=False
        ),
    ] = None,
    resume: Annotated[
        Path | None,
        typer.Option(
            help="Continue the run in this folder, to --epochs if given; other options are its own."
        ),
    ] = None,
    checkpoint_every: Annotated[
        int, typer.Option(help="Also keep the checkpoint of every so many epochs.")
    ] = 0,
    data_dir: _DataDir = None,
    quiet: _Quiet = False,
) -> None:
    """Train a network; writes config.json, metrics.json and last.pt into the folder of the run.

    Defaults are those of the paper where it gives them: batch 100, exponentially decaying learning rate,
    weight decay on weights and biases. On CIFAR-10, near-duplicate filters appear with strong
    weight decay (0.01 to 0.02) and inputs of small variance (raw, centred or symmetric).
    """
    if resume:
        config = _resumed(resume, context)
        out = resume
    else:
        config = _config(context.params)
        out = out or Path("runs") / f"{config.data}-{config.model}-s{config.seed}"
    _train(config, out, resume is not None, checkpoint_every, data_dir, quiet)


def _config(given: dict[str, Any]) -> TrainConfig:
    values = {f.name: given[f.name] for f in dataclasses.fields(TrainConfig)}
    values = {key: value.value if isinstance(value, Enum) else value for key, value in values.items()}
    for name in ("widths", "fc", "kernel"):
        values[name] = parse_sizes(values[name], f"--{name}")
    return TrainConfig(**values)


def _resumed(run: Path, context: typer.Context) -> TrainConfig:
    """The config of a run, with --epochs from the command line; other options of a config are refused."""
    typed = {name for name in context.params if _is_typed(context, name)}
    fixed = {f.name for f in dataclasses.fields(TrainConfig)} - {"epochs"} | {"out"}
    if typed & fixed:
        names = ", ".join(f"--{name.replace('_', '-')}" for name in sorted(typed & fixed))
        raise ConfigError(f"{names} cannot be changed with --resume; only --epochs can")
    config = TrainConfig.load(run / "config.json")
    return dataclasses.replace(config, epochs=context.params["epochs"]) if "epochs" in typed else config


def _is_typed(context: typer.Context, name: str) -> bool:
    source = context.get_parameter_source(name)
    return source is not None and source.name == "COMMANDLINE"


def _train(
    config: TrainConfig, out: Path, resume: bool, every: int, data_dir: Path | None, quiet: bool
) -> None:
    from training import loop
    from training.data import load_dataset
    from training.progress import ProgressBar

    images = load_dataset(config.data, data_dir, limit=config.limit)
    if quiet:
        loop.train(config, images, out, resume=resume, every=every)
        return
    console = Console(stderr=True)
    with ProgressBar(console, config.epochs) as bar:
        metrics = loop.train(config, images, out, resume=resume, every=every, reporter=bar)
    final = metrics["final"]
    console.print(
        f"{out}: {metrics['parameters']:,} parameters, train accuracy {final['train_accuracy']:.2%},"
        f" test accuracy {final['test_accuracy']:.2%}",
        highlight=False,
        soft_wrap=True,
    )


@app.command("export")
def export_run(
    run: Annotated[Path, typer.Argument(help="Folder of a run.")],
    output: Annotated[Path, typer.Option("-o", "--output", help="The .onnx file to write.")],
    test_data: Annotated[
        Path | None,
        typer.Option(help="Also write the test images and labels, scaled for this model, as .npz."),
    ] = None,
    test_limit: Annotated[int, typer.Option(help="Write the first so many test images; 0: all.")] = 0,
    exporter: Annotated[ExporterName, typer.Option(help="Which of PyTorch's exporters.")] = ExporterName(
        "dynamo"
    ),
    keep_batchnorm: Annotated[
        bool, typer.Option("--keep-batchnorm", help="Keep BatchNormalization nodes instead of folding them.")
    ] = False,
    opset: Annotated[
        int | None, typer.Option(help="ONNX opset. (default: the exporter's)", show_default=False)
    ] = None,
    sketch: Annotated[
        int,
        typer.Option(
            help="Store the moment sketch of so many training images in the model (`onnxdup calibrate`); "
            "0: none.",
            min=0,
        ),
    ] = 0,
    checkpoint: Annotated[
        str,
        typer.Option(
            help="Which checkpoint of the run. (default: last.pt; snapped.pt after --snap)",
            show_default=False,
        ),
    ] = "",
    data_dir: _DataDir = None,
    quiet: _Quiet = False,
) -> None:
    """Export a run to one ONNX file with a dynamic batch, checked against PyTorch with onnxruntime.

    The model's input x takes images scaled as in training; --test-data writes such images. The constants of
    the scaling are in the model's metadata, key training.scaling.
    """
    from training import export as exporting
    from training.data import load_dataset
    from training.scaling import Scaling

    config = TrainConfig.load(run / "config.json")
    data = load_dataset(config.data, data_dir, limit=config.limit)
    parity = exporting.export(
        run,
        data,
        output,
        exporter=exporter.value,
        keep_batchnorm=keep_batchnorm,
        opset=opset,
        checkpoint=checkpoint,
    )
    scaling = Scaling.fit(config.scaling, data)
    if sketch:
        exporting.add_sketch(output, data, scaling, sketch, config.seed)
    console = Console(stderr=True, quiet=quiet)
    console.print(
        f"{output}: {output.stat().st_size:,} bytes, onnxruntime within {parity.max_abs_error:.1e} of torch"
        f" (logits up to {parity.largest_logit:.3g}) on {parity.images} test images",
        highlight=False,
        soft_wrap=True,
    )
    if test_data:
        count = exporting.write_dataset(test_data, data, scaling, limit=test_limit)
        console.print(f"{test_data}: {count:,} images", highlight=False, soft_wrap=True)


app.command("study")(study)


def main() -> None:
    """Run the command line; an expected error is one line on stderr and its exit code."""
    try:
        app()
    except TrainingError as error:
        print(f"error: {' '.join(str(error).split())}", file=sys.stderr)
        sys.exit(error.exit_code)
