#!/usr/bin/env python3
"""A provider process: counts in memory, for the actors that are linked to it. Contract: wasmcloud:keyvalue."""
import asyncio, base64, collections, json, sys
import msgpack, nats, nkeys

async def main():
    host = json.loads(base64.b64decode(sys.stdin.readline()))
    counters, links, stopped = collections.Counter(), {}, asyncio.Event()

    async def call(message):
        invocation = msgpack.unpackb(message.data)
        actor, answer = invocation["origin"]["public_key"], {"invocation_id": invocation["id"], "msg": b""}
        if actor not in links:
            answer["error"] = "unlinked actor"  # The host waits a little and asks again.
        elif invocation["operation"] != "KeyValue.Increment":
            answer["error"] = f"no operation {invocation['operation']}"
        else:
            request = msgpack.unpackb(invocation["msg"])
            counters[actor, request["key"]] += request["value"] * int(links[actor].get("step", 1))
            answer["msg"] = msgpack.packb(counters[actor, request["key"]])
        await message.respond(msgpack.packb(answer))

    async def put_link(message):
        link = msgpack.unpackb(message.data)
        links[link["actor_id"]] = link["values"]

    async def delete_link(message):
        links.pop(msgpack.unpackb(message.data)["actor_id"], None)

    async def health(message):
        await message.respond(msgpack.packb({"healthy": True}))

    async def shutdown(message):
        await message.respond(b"")
        stopped.set()

    user = nkeys.from_seed(bytearray(host["lattice_rpc_user_seed"], "ascii"))
    connection = await nats.connect(
        host["lattice_rpc_url"],
        user_jwt_cb=lambda: bytearray(host["lattice_rpc_user_jwt"], "ascii"),
        signature_cb=lambda nonce: base64.b64encode(user.sign(nonce.encode())))
    subject = "wasmbus.rpc.{lattice_rpc_prefix}.{provider_key}.{link_name}".format(**host)
    handlers = {"": call, ".linkdefs.put": put_link, ".linkdefs.del": delete_link, ".health": health, ".shutdown": shutdown}
    for suffix, handler in handlers.items():
        await connection.subscribe(subject + suffix, cb=handler)
    await stopped.wait()
    await connection.drain()

asyncio.run(main())
