"""Callbacks with real signatures, by a key pair of the emulator's own. Fact F5."""

import base64
import hashlib
import json
import ssl
import time

import httpx
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

from fal_mcp.emulator.job import Job
from fal_mcp.json_values import JsonObject

_USER = "auth0|emulator"
_FIRST_TIMEOUT = 15.0


class Signer:
    """A key pair, made when it is first needed."""

    def __init__(self) -> None:
        self._key: Ed25519PrivateKey | None = None

    @property
    def key(self) -> Ed25519PrivateKey:
        """The private key."""
        if self._key is None:
            self._key = Ed25519PrivateKey.generate()
        return self._key

    def jwks(self) -> JsonObject:
        """The public key as fal publishes its own: base64url without padding."""
        raw = self.key.public_key().public_bytes(Encoding.Raw, PublicFormat.Raw)
        return {"keys": [{"kty": "OKP", "crv": "Ed25519", "x": base64.urlsafe_b64encode(raw).decode().rstrip("=")}]}

    def headers(self, request_id: str, body: bytes, now: float) -> dict[str, str]:
        """The four headers of a delivery."""
        stamp = str(int(now))
        # These four, one a line, the body by its digest: the form that fal signs.
        message = f"{request_id}\n{_USER}\n{stamp}\n{hashlib.sha256(body).hexdigest()}".encode()
        return {
            "X-Fal-Webhook-Request-Id": request_id,
            "X-Fal-Webhook-User-Id": _USER,
            "X-Fal-Webhook-Timestamp": stamp,
            # Hexadecimal, though the public key is base64url.
            "X-Fal-Webhook-Signature": self.key.sign(message).hex(),
        }


async def call_back(job: Job, url: str, signer: Signer, trusted: ssl.SSLContext | None = None) -> None:
    """Wait until the job is over and deliver it once; `trusted` is whose certificates count, in place of the usual."""
    while not job.is_over and not job.closed:
        await job.news(len(job.history), 3600)
    about: JsonObject = {"request_id": job.request_id, "gateway_request_id": job.request_id}
    if job.failure is None:
        about |= {"status": "OK", "payload": job.output}
    else:
        error = f"Invalid status code: {job.failure.status}"
        about |= {"status": "ERROR", "error": error, "payload": dict(job.failure.body)}
    body = json.dumps(about).encode()
    headers = {"content-type": "application/json", **signer.headers(job.request_id, body, time.time())}
    # No proxy of the environment's: who listens is on this machine.
    async with httpx.AsyncClient(timeout=_FIRST_TIMEOUT, trust_env=False, verify=trusted or True) as client:
        try:
            await client.post(url, content=body, headers=headers)
        except httpx.HTTPError:
            # The real one tries again for hours; a test that listens gets it the first time.
            return
