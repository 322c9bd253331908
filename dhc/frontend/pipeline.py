"""From a pipeline to its graph."""

from __future__ import annotations

from dhc.frontend.build import Entry, ModelBuilder
from dhc.frontend.fail import error
from dhc.frontend.values import DefinitionValue, Given
from dhc.ir.types import DType
from dhc.source import Span


class PipelineBuilder(ModelBuilder):
    """Executes the stages of a pipeline on the values of one sample."""

    batched = False

    def __init__(self, dtype: DType) -> None:
        super().__init__()
        self._dtype = dtype

    def build(
        self, model: DefinitionValue, given: tuple[Given, ...], span: Span | None = None
    ) -> Entry:
        raise error("unsupported", "Pipelines cannot be built yet.", model.definition.name.span)
