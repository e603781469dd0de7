"""The API: POST /validate as the third party serves it, and PUT /simulation to make it slow, failing or malformed at run time."""

import asyncio
import random
from collections.abc import Awaitable, Callable

from fastapi import APIRouter, FastAPI, Request, Response
from fastapi.exceptions import RequestValidationError
from fastapi.routing import APIRoute
from pydantic import ValidationError

from contracts.models import ValidationAnswer, ValidationRequest
from runtime.service import load_settings
from validator.settings import Simulation
from validator.verdict import is_fraudulent


class DirectRoute(APIRoute):
    """Reads the body itself: FastAPI's own way costs more than all the rest of a call."""

    def get_route_handler(self) -> Callable[[Request], Awaitable[Response]]:
        """What a request goes through."""

        async def handle(request: Request) -> Response:
            try:
                asked = ValidationRequest.model_validate_json(await request.body())
            except ValidationError as error:
                raise RequestValidationError(
                    [{**problem, "loc": ("body", *problem["loc"])} for problem in error.errors()]
                ) from None
            return await self.endpoint(asked, request)

        return handle


def create_app() -> FastAPI:
    """The application, with its behaviour from the environment."""
    app = FastAPI(
        title="fraud-validator-api", description="Tells whether a bank transaction is fraudulent. A simulator."
    )
    app.state.simulation = load_settings(Simulation)
    router = APIRouter(route_class=DirectRoute)

    @router.post("/validate", response_model=ValidationAnswer)
    async def validate(asked: ValidationRequest, request: Request) -> Response:
        """Judge one transaction."""
        simulation: Simulation = app.state.simulation
        while simulation.hang or asked.transaction_id in simulation.ignored_ids:
            # Its caller has given up, and the server would not end before this call does.
            if await request.is_disconnected():
                return Response()
            await asyncio.sleep(0.1)
            simulation = app.state.simulation
        if simulation.latency_ms:
            await asyncio.sleep(simulation.latency_ms / 1000)
        if asked.transaction_id in simulation.refused_ids:
            return Response(status_code=422)
        if asked.transaction_id in simulation.failed_ids or random.random() < simulation.failure_share:
            return Response(status_code=500)
        if random.random() < simulation.poison_share:
            return Response(random.choice(('{"is_fraudulent_transaction": "perhaps"}', "{}", "<html>", "")))
        fraudulent = is_fraudulent(asked.transaction_id, simulation.fraudulent_share)
        answer = ValidationAnswer(is_fraudulent_transaction=fraudulent)
        return Response(answer.model_dump_json(), media_type="application/json")

    @app.get("/health")
    async def health() -> dict[str, str]:
        """Answers when the service is up."""
        return {"status": "ok"}

    @app.put("/simulation")
    async def simulate(simulation: Simulation) -> Simulation:
        """Replace the behaviour; fields that are left out take their start value."""
        app.state.simulation = simulation
        return simulation

    app.include_router(router)
    return app
