#!/usr/bin/env python3
"""Two Nostr relays that others wrote: relays.py DIR prints {"relays":["ws://…","ws://…"]}.

Both are in this one process and on loopback, and live until its stdin closes. The first is rust-nostr's LocalRelay,
which answers a second copy of an event with true; the second nostr-relay, on SQLite in DIR, which answers with false.
Between them a client has to read what a relay says, not only whether it says yes.
"""

import asyncio
import json
import logging
import os
import socket
import sys
from contextlib import redirect_stdout
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parent / "python"))

try:
    import nostr_relay
    import uvicorn
    import yaml
    from alembic.command import upgrade
    from alembic.config import Config as Alembic
    from nostr_relay.config import Config
    from nostr_relay.web import create_app
    from nostr_sdk import LocalRelayBuilder
except ImportError as error:
    sys.exit(f"error: {error}\nhint: scripts/install servers")

OURS = Path(nostr_relay.__file__).parent


class Server(uvicorn.Server):
    """Tells when it serves."""

    def __init__(self, config):
        super().__init__(config)
        self.there = asyncio.Event()

    async def startup(self, sockets=None):
        await super().startup(sockets)
        self.there.set()


async def first():
    relay = LocalRelayBuilder().addr("127.0.0.1").build()
    await relay.run()
    return relay, str(await relay.url())


async def second(folder):
    """Its own configuration, with another place for its data."""
    config = yaml.safe_load((OURS / "config.yaml").read_text())
    config["storage"]["sqlalchemy.url"] = f"sqlite+aiosqlite:///{folder}/relay.sqlite3"
    config["logging"] = None
    (folder / "relay.yaml").write_text(yaml.safe_dump(config))
    Config.load(str(folder / "relay.yaml"))
    logging.disable(logging.INFO)
    # Its migrations run a loop of their own.
    await asyncio.to_thread(upgrade, Alembic(str(OURS / "alembic.ini")), "head")
    at = socket.create_server(("127.0.0.1", 0))
    server = Server(uvicorn.Config(create_app(), log_config=None, lifespan="on"))
    serving = asyncio.create_task(server.serve(sockets=[at]))
    there = asyncio.create_task(server.there.wait())
    await asyncio.wait([serving, there], return_when=asyncio.FIRST_COMPLETED)
    if serving.done():
        sys.exit("error: nostr-relay ended before it served")
    return f"ws://127.0.0.1:{at.getsockname()[1]}"


async def main(folder):
    folder.mkdir(parents=True)
    with redirect_stdout(sys.stderr):  # the line below is the only one of ours
        relay, one = await first()
        two = await second(folder)
    print(json.dumps({"relays": [one, two]}), flush=True)
    await asyncio.to_thread(sys.stdin.read)
    relay.shutdown()


asyncio.run(main(Path(sys.argv[1]).resolve() / "relays"))
os._exit(0)  # the second has threads that would wait for their next round
