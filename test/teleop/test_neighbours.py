"""Other robots in one list: asked over real sockets, believed within bounds."""

from __future__ import annotations

import asyncio
import ssl
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any

import pytest
from aiohttp import web
from certificates import Certificates

from edge_robot.errors import UserError
from edge_robot.teleop import neighbours
from edge_robot.teleop.neighbours import Neighbours, NeighbourSettings

SUMMARY = {"mode": "nominal", "holder": "autonomy", "stopped": False, "link": True, "battery": 0.5}


@pytest.fixture
def token(tmp_path: Path) -> str:
    file = tmp_path / "token"
    file.write_text("the-token\n")
    file.chmod(0o600)
    return str(file)


async def answer(request: web.Request) -> web.StreamResponse:
    """Answer as many another robot may, by its path."""
    if request.path == "/well/summary":
        known = request.headers["Authorization"] == "Bearer the-token"
        return web.json_response(SUMMARY) if known else web.Response(status=401)
    if request.path == "/silent/summary":
        await asyncio.sleep(60.0)
    if request.path == "/elsewhere/summary":
        raise web.HTTPFound("/well/summary")
    bodies = {
        "/script/summary": '{"mode": "' + "<b>" * 99 + '", "battery": 1e9, "stopped": "no"}',
        "/nonsense/summary": "[" * 9000,
        "/endless/summary": " " * 99_999,
    }
    if request.path in bodies:
        return web.Response(text=bodies[request.path])
    return web.Response(status=401)


async def asked(
    token: str, names: list[str], until: Callable[[dict[str, Any]], bool]
) -> dict[str, dict[str, Any]]:
    """Return the section by robot once it is as it should be."""
    runner = web.AppRunner(web.Application(), access_log=None, shutdown_timeout=0.1)
    runner.app.router.add_get("/{robot}/summary", answer)
    await runner.setup()
    site = web.TCPSite(runner, "127.0.0.1", 0)
    await site.start()
    port = runner.addresses[0][1]
    settings = {name: NeighbourSettings(f"http://127.0.0.1:{port}/{name}", token) for name in names}
    settings["absent"] = NeighbourSettings("http://127.0.0.1:9", token)
    robots = Neighbours(settings)
    polling = asyncio.create_task(robots.run())
    try:
        for _ in range(100):
            section = {each["name"]: each for each in robots.section()}
            if until(section):
                return section
            await asyncio.sleep(0.05)
        raise AssertionError(section)
    finally:
        polling.cancel()
        await asyncio.gather(polling, return_exceptions=True)
        await runner.cleanup()


def run(scenario: Awaitable[dict[str, Any]]) -> dict[str, Any]:
    return asyncio.run(scenario)  # type: ignore[arg-type]


def test_each_robot_is_told_as_it_is(token: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(neighbours, "TIMEOUT", 0.3)
    names = ["well", "silent", "elsewhere", "script", "nonsense", "endless", "stranger"]
    section = run(
        asked(
            token, names, lambda told: all(r.get("cause") != "not asked yet" for r in told.values())
        )
    )
    assert section["well"] == {
        "name": "well",
        "up": True,
        "url": section["well"]["url"],
        **SUMMARY,
    }
    assert len(section["script"]["mode"]) == 64
    assert not {"battery", "stopped"} & set(section["script"])
    causes = {name: each["cause"] for name, each in section.items() if not each["up"]}
    assert causes == {
        "silent": "no answer within 0.3 s",
        "elsewhere": "it answered with HTTP status 302",
        "nonsense": "its answer makes no sense",
        "endless": "its answer is too long",
        "stranger": "it does not know our token",
        "absent": causes["absent"],
    }
    assert "refused" in causes["absent"]
    assert section["silent"]["silent"] == 0


def test_a_robot_that_falls_silent_is_told_as_such_and_since_when(
    token: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(neighbours, "PERIOD", 0.05)
    up = True

    async def flaky(request: web.Request) -> web.StreamResponse:
        return web.json_response(SUMMARY) if up else web.Response(status=500)

    monkeypatch.setitem(globals(), "answer", flaky)

    def later(told: dict[str, Any]) -> bool:
        nonlocal up
        if told["well"]["up"]:
            up = False
        return bool(not up and "cause" in told["well"])

    section = run(asked(token, ["well"], later))
    assert section["well"]["cause"] == "it answered with HTTP status 500"
    assert "mode" not in section["well"], "what it was is not what it is"


def test_a_robot_is_believed_by_its_certificate(token: str, tmp_path: Path) -> None:
    pki = Certificates(tmp_path)
    ours = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    ours.load_cert_chain(pki.pem("good"), pki.key("good"))

    async def scenario() -> list[dict[str, Any]]:
        runner = web.AppRunner(web.Application(), access_log=None, shutdown_timeout=0.1)
        runner.app.router.add_get("/{robot}/summary", answer)
        await runner.setup()
        await web.TCPSite(runner, "127.0.0.1", 0, ssl_context=ours).start()
        url = f"https://127.0.0.1:{runner.addresses[0][1]}/well"
        authorities = {"known": str(pki.pem("ca")), "other": str(pki.pem("other")), "none": ""}
        robots = Neighbours(
            {name: NeighbourSettings(url, token, file) for name, file in authorities.items()}
        )
        polling = asyncio.create_task(robots.run())
        while any(robot.get("cause") == "not asked yet" for robot in robots.section()):
            await asyncio.sleep(0.02)
        polling.cancel()
        await asyncio.gather(polling, return_exceptions=True)
        await runner.cleanup()
        return robots.section()

    known, *others = asyncio.run(scenario())
    assert known["up"]
    assert [robot["cause"] for robot in others] == ["its certificate is not to be believed"] * 2


@pytest.mark.parametrize(
    ("url", "reason"),
    [
        ("robot2:8080", "give https://host:port"),
        ("javascript:alert(1)", "give https://host:port"),
        ("https://me:pw@robot2", "give https://host:port"),
        ("https://robot2:99999", "give https://host:port"),
        ("http://robot2:8080", "anybody could read the token"),
    ],
)
def test_addresses_that_cannot_be_or_would_give_the_token_away_are_refused(
    token: str, url: str, reason: str
) -> None:
    with pytest.raises(UserError, match=reason):
        Neighbours({"robot2": NeighbourSettings(url, token)})


def test_tokens_open_to_others_are_refused(token: str) -> None:
    for mode, text, reason in ((0o640, "secret", "chmod 600"), (0o600, "a b", "holds no token")):
        Path(token).write_text(text)
        Path(token).chmod(mode)
        with pytest.raises(UserError, match=reason) as refused:
            Neighbours({"robot2": NeighbourSettings("https://robot2", token)})
        assert "secret" not in str(refused.value)
    with pytest.raises(UserError, match="cannot be read"):
        Neighbours({"robot2": NeighbourSettings("https://robot2", token + "-not-there")})
