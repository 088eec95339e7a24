"""The Open Inference Protocol v2 with Triton's extensions, as `protos/inferd/oip` has it.

Each method is an RPC of `inference.GRPCInferenceService`: it decodes, asks, encodes. What
they raise is `inferd.errors`; what that means on the wire is decided elsewhere.
"""

import logging
from collections.abc import AsyncGenerator, AsyncIterator
from contextlib import aclosing
from functools import partial
from typing import TYPE_CHECKING

from inferd import __version__
from inferd.call import Call
from inferd.config import Config
from inferd.deadline import Clock
from inferd.errors import InferdError, InvalidRequest, NotFound, Unimplemented
from inferd.inference.request import Inputs
from inferd.oip import grpc_service_pb2 as pb
from inferd.services.open_inference import repository, settings
from inferd.services.open_inference.exchange import Exchange
from inferd.services.open_inference.metadata import extensions, model_metadata
from inferd.services.open_inference.model_config_text import to_proto
from inferd.services.open_inference.recognition import Recognition, Understood
from inferd.services.open_inference.settings import ApplyLog, LogSettings
from inferd.services.open_inference.shared_memory import Regions
from inferd.services.open_inference.statistics import model_statistics
from inferd.services.open_inference.stream import answers
from inferd.telemetry.statistics import OTHER

if TYPE_CHECKING:
    from inferd.inference.models import Models
    from inferd.inference.version import ModelVersion

logger = logging.getLogger(__name__)

_UNCOUNTED = (InvalidRequest, NotFound, Unimplemented)
"""What a request can fail with before the model's own machinery counts it."""


class OpenInference:
    """Serves `GRPCInferenceService`. Close it when nothing calls it any more.

    `apply_log` changes what is logged; without it, `LogSettings` only tells.
    """

    def __init__(
        self,
        models: "Models",
        config: Config,
        *,
        clock: Clock,
        apply_log: ApplyLog | None = None,
        regions: Regions | None = None,
    ) -> None:
        self._models = models
        self._config = config
        self._clock = clock
        self._log = LogSettings(config.telemetry.log, apply_log)
        self._regions = regions or Regions(config.shared_memory)
        self._extensions = extensions(
            shared_memory=config.shared_memory.system, log_settings=apply_log is not None
        )
        self._rolls_out = bool(config.rollouts.models)
        self._exchanges: dict[ModelVersion, Exchange] = {}
        self._recognition = Recognition()
        self._unwatch = models.watch(self._forget)

    def close(self) -> None:
        """Let go of the models and of shared memory."""
        self._unwatch()
        self._forget()
        self._regions.close()

    def _forget(self) -> None:
        """Let go of what was known of versions: it goes with them."""
        self._exchanges.clear()
        self._recognition.forget()

    async def server_live(
        self, _request: pb.ServerLiveRequest, _call: Call
    ) -> pb.ServerLiveResponse:
        """Say that the process is up."""
        return pb.ServerLiveResponse(live=True)

    async def server_ready(
        self, _request: pb.ServerReadyRequest, _call: Call
    ) -> pb.ServerReadyResponse:
        """Say whether all that should serve does."""
        return pb.ServerReadyResponse(ready=self._models.serving)

    async def model_ready(
        self, request: pb.ModelReadyRequest, _call: Call
    ) -> pb.ModelReadyResponse:
        """Say whether a model, or a version of it, is ready. One that is unknown is not."""
        ready = self._models.is_ready(request.name, request.version)
        return pb.ModelReadyResponse(ready=ready)

    async def server_metadata(
        self, _request: pb.ServerMetadataRequest, _call: Call
    ) -> pb.ServerMetadataResponse:
        """Say what this server is and which extensions work."""
        return pb.ServerMetadataResponse(
            name=self._config.server.name, version=__version__, extensions=self._extensions
        )

    async def model_metadata(
        self, request: pb.ModelMetadataRequest, _call: Call
    ) -> pb.ModelMetadataResponse:
        """Describe a model's inputs and outputs."""
        version = await self._models.get(request.name, request.version)
        index = self._models.index(ready_only=True)
        ready = [entry.version for entry in index if entry.name == version.name]
        return model_metadata(version, ready)

    async def model_config(
        self, request: pb.ModelConfigRequest, _call: Call
    ) -> pb.ModelConfigResponse:
        """Return the configuration a version was loaded with."""
        version = await self._models.get(request.name, request.version)
        return pb.ModelConfigResponse(config=to_proto(version.config))

    async def model_statistics(
        self, request: pb.ModelStatisticsRequest, _call: Call
    ) -> pb.ModelStatisticsResponse:
        """Return the counts of a version, a model or all."""
        versions = self._models.statistics(request.name, request.version)
        return pb.ModelStatisticsResponse(
            model_stats=[model_statistics(version.statistics) for version in versions]
        )

    async def model_infer(self, request: pb.ModelInferRequest, call: Call) -> bytes:
        """Run a model on one request; returns a `ModelInferResponse`, encoded.

        The request is used up: its data may be taken out of it.
        """
        if self._rolls_out and not request.model_version:
            request.model_version = self._models.steered(request.model_name, call)
        recalled = self._recognition.recall(request)
        understood, inputs = recalled or await self._understood(request, call)
        version, exchange, question = understood
        parameters = question.parameters
        try:
            outputs = await version.infer(
                inputs,
                rows=question.rows,
                outputs=question.outputs,
                call=call,
                priority=parameters.priority,
                timeout_s=parameters.timeout_s,
            )
        except _UNCOUNTED:
            version.statistics.failed(OTHER, self._clock() - call.arrived)
            raise
        return exchange.answer(request.id, question, outputs)

    async def _understood(
        self, request: pb.ModelInferRequest, call: Call
    ) -> tuple[Understood, Inputs]:
        """Return what a request asks of which version, and what makes its inputs."""
        name, number = request.model_name, request.model_version
        version = self._models.find(name, number) or await self._models.get(name, number)
        exchange = self._exchanges.get(version) or self._exchange(version)
        try:
            question = exchange.question(request)
        except _UNCOUNTED:
            version.statistics.failed(OTHER, self._clock() - call.arrived)
            raise
        understood = Understood(version, exchange, question)
        self._recognition.remember(request, understood)
        return understood, partial(exchange.inputs, request, question)

    def _exchange(self, version: "ModelVersion") -> Exchange:
        limit = self._config.inference.max_elements
        exchange = Exchange(version, max_elements=limit, regions=self._regions)
        self._exchanges[version] = exchange
        return exchange

    async def model_stream_infer(
        self, requests: AsyncIterator[pb.ModelInferRequest], call: Call
    ) -> AsyncGenerator[pb.ModelStreamInferResponse, None]:
        """Run a model on each request of a stream.

        A request has the stream's deadline and arrives when it is read. Each has exactly one
        response, so every response is marked as its request's last (`triton_final_response`)
        and the empty ones that `triton_enable_empty_final_response` asks for are never due.
        """

        async def answer(request: pb.ModelInferRequest) -> pb.ModelStreamInferResponse:
            return await self._stream_response(request, call)

        async with aclosing(answers(requests, answer)) as responses:
            async for response in responses:
                yield response

    async def _stream_response(
        self, request: pb.ModelInferRequest, stream: Call
    ) -> pb.ModelStreamInferResponse:
        call = Call(
            stream.method,
            arrived=self._clock(),
            deadline=stream.deadline,
            metadata=stream.metadata,
            peer=stream.peer,
        )
        call.span = stream.span
        try:
            encoded = await self.model_infer(request, call)
            message = pb.ModelStreamInferResponse()
            message.infer_response.MergeFromString(encoded)
        except InferdError as error:
            message = _failed(request, str(error))
        except Exception:
            logger.exception("a request of a stream failed")
            message = _failed(request, "internal error, its cause is in the server's log")
        message.infer_response.parameters["triton_final_response"].bool_param = True
        return message

    async def repository_index(
        self, request: pb.RepositoryIndexRequest, _call: Call
    ) -> pb.RepositoryIndexResponse:
        """List every version of every model."""
        repository.refuse_repository_name(request.repository_name)
        entries = self._models.index(ready_only=request.ready)
        return pb.RepositoryIndexResponse(
            models=[
                repository.index_entry(entry.name, entry.version, entry.state, entry.reason)
                for entry in entries
            ]
        )

    async def repository_model_load(
        self, request: pb.RepositoryModelLoadRequest, _call: Call
    ) -> pb.RepositoryModelLoadResponse:
        """Load or reload a model."""
        model, kserve = repository.named(request.repository_name, request.model_name)
        config, files = repository.override(request.parameters)
        await self._models.load(model, config=config, files=files)
        if kserve:
            return pb.RepositoryModelLoadResponse(model_name=model, isLoaded=True)
        return pb.RepositoryModelLoadResponse()

    async def repository_model_unload(
        self, request: pb.RepositoryModelUnloadRequest, _call: Call
    ) -> pb.RepositoryModelUnloadResponse:
        """Unload a model."""
        model, kserve = repository.named(request.repository_name, request.model_name)
        repository.check_unload(request.parameters)
        await self._models.unload(model)
        if kserve:
            return pb.RepositoryModelUnloadResponse(model_name=model, isUnloaded=True)
        return pb.RepositoryModelUnloadResponse()

    async def system_shared_memory_status(
        self, request: pb.SystemSharedMemoryStatusRequest, _call: Call
    ) -> pb.SystemSharedMemoryStatusResponse:
        """List registered regions."""
        response = pb.SystemSharedMemoryStatusResponse()
        for region in self._regions.status(request.name):
            entry = response.regions[region.name]
            entry.name, entry.key = region.name, region.key
            entry.offset, entry.byte_size = region.offset, region.byte_size
        return response

    async def system_shared_memory_register(
        self, request: pb.SystemSharedMemoryRegisterRequest, _call: Call
    ) -> pb.SystemSharedMemoryRegisterResponse:
        """Register a region."""
        self._regions.register(request.name, request.key, request.offset, request.byte_size)
        return pb.SystemSharedMemoryRegisterResponse()

    async def system_shared_memory_unregister(
        self, request: pb.SystemSharedMemoryUnregisterRequest, _call: Call
    ) -> pb.SystemSharedMemoryUnregisterResponse:
        """Forget a region, or all."""
        self._regions.unregister(request.name)
        return pb.SystemSharedMemoryUnregisterResponse()

    async def cuda_shared_memory_status(
        self, _request: pb.CudaSharedMemoryStatusRequest, _call: Call
    ) -> pb.CudaSharedMemoryStatusResponse:
        """List registered regions: there are none."""
        return pb.CudaSharedMemoryStatusResponse()

    async def cuda_shared_memory_register(
        self, _request: pb.CudaSharedMemoryRegisterRequest, _call: Call
    ) -> pb.CudaSharedMemoryRegisterResponse:
        """Refuse."""
        raise Unimplemented(
            "CUDA shared memory is not supported: send tensors in the request or, where "
            "shared_memory.system is on, in system shared memory"
        )

    async def cuda_shared_memory_unregister(
        self, _request: pb.CudaSharedMemoryUnregisterRequest, _call: Call
    ) -> pb.CudaSharedMemoryUnregisterResponse:
        """Forget a region, or all. Clients do so before they begin, so it is no error."""
        return pb.CudaSharedMemoryUnregisterResponse()

    async def trace_setting(
        self, request: pb.TraceSettingRequest, _call: Call
    ) -> pb.TraceSettingResponse:
        """Tell what is traced."""
        settings.refuse_trace_change(request.settings)
        return settings.trace_response(self._config.telemetry.traces)

    async def log_settings(
        self, request: pb.LogSettingsRequest, _call: Call
    ) -> pb.LogSettingsResponse:
        """Tell, and change, what is logged."""
        if request.settings:
            self._log.change(request.settings)
        return settings.log_response(self._log.values())


def _failed(request: pb.ModelInferRequest, text: str) -> pb.ModelStreamInferResponse:
    return pb.ModelStreamInferResponse(
        error_message=text,
        infer_response=pb.ModelInferResponse(
            id=request.id, model_name=request.model_name, model_version=request.model_version
        ),
    )
