"""Forged, expired, foreign and misplaced tokens; keys of others."""

import base64
import hashlib
import hmac
import json
import time

from cryptography.hazmat.primitives import serialization

from fal_mcp.emulator import Emulator
from fal_mcp.team.token_file import PREFIX, TokenFile
from tests.conftest import KEY, UNKNOWN_KEY
from tests.server.http_host import Host
from tests.server.stdio_host import initialize
from tests.team.attacks.table import attack
from tests.team.bench import AUDIENCE, Team, key_pair, public_jwk

TOKENS = "Tokens"
KEYS = "Keys of the issuer, and callers' own"


def _part(value: object) -> str:
    return base64.urlsafe_b64encode(json.dumps(value).encode()).rstrip(b"=").decode()


async def refused(team: Team, token: str) -> None:
    """It is answered as any other that is none."""
    answer = await team.with_token(token)
    challenge = answer.headers["www-authenticate"]
    assert answer.status_code == 401 and 'error="invalid_token"' in challenge and "scope=" in challenge, answer.text
    assert answer.json()["error_description"] == "The token is none that this server takes, or no longer."


@attack(TOKENS, "No token", "401, with where to get one and for what; no error is named")
async def no_token(team: Team, fal: Emulator) -> None:
    answer = await team.post()
    where = "http://fal.example.com/.well-known/oauth-protected-resource/mcp"
    assert answer.status_code == 401
    assert answer.headers["www-authenticate"] == f'Bearer scope="fal:read fal:run", resource_metadata="{where}"'
    for path in ("/.well-known/oauth-protected-resource", "/.well-known/oauth-protected-resource/mcp"):
        about = (await team.client().get(f"{team.root}{path}")).json()
        assert about["resource"] == AUDIENCE and about["authorization_servers"] == [team.issuer.url]


@attack(TOKENS, "A good token in the address", "400, even beside a good header")
async def in_query(team: Team, fal: Emulator) -> None:
    good = team.tokens["alice"]
    for query in (f"access_token={good}", f"ACCESS_TOKEN={good}", f"token={good}"):
        for headers in ({}, team.headers("alice")):
            answer = await team.client().post(f"{team.url}?{query}", json=initialize(), headers=headers)
            assert answer.status_code == 400


@attack(TOKENS, "A guessed token of the file, or one letter off", "401")
async def guessed(team: Team, fal: Emulator) -> None:
    good = team.tokens["alice"]
    for token in (
        f"{PREFIX}{'A' * 43}",
        good[:-1],
        f"{good}A",
        good.swapcase(),
        good[:-1] + ("A" if good[-1] != "A" else "B"),
    ):
        await refused(team, token)


@attack(TOKENS, "The digest that stands in the file", "401")
async def digest(team: Team, fal: Emulator) -> None:
    text = (team.settings.tokens or team.settings.cache).read_text()
    assert team.tokens["alice"] not in text
    for entry in json.loads(text)["tokens"]:
        await refused(team, entry["digest"])
        await refused(team, PREFIX + entry["digest"])


@attack(TOKENS, "A token that was revoked a moment ago", "401 from the next request on, also in its session")
async def revoked(team: Team, fal: Emulator) -> None:
    named = await team.session("alice")
    assert team.settings.tokens is not None
    TokenFile(team.settings.tokens).revoke("alice")
    await refused(team, team.tokens["alice"])
    ping = {"jsonrpc": "2.0", "id": 5, "method": "ping"}
    assert (await team.of("alice").post(team.url, json=ping, headers=named)).status_code == 401


@attack(TOKENS, "A token of the file whose time is over", "401")
async def file_expired(team: Team, fal: Emulator) -> None:
    assert team.settings.tokens is not None
    await refused(team, TokenFile(team.settings.tokens).create("brief", ("fal:read",), expires=time.time() - 1))


@attack(TOKENS, "The file of tokens is damaged, to be let in by default", "503 for tokens of the file")
async def damaged_file(team: Team, fal: Emulator) -> None:
    assert team.settings.tokens is not None
    for text in ("", "{", "[]", '{"tokens": [{}]}', '{"tokens": [{"name": "x", "digest": "y", "daily_budget": "no"}]}'):
        team.settings.tokens.write_text(text)
        assert (await team.with_token(team.tokens["alice"])).status_code == 503, text


@attack(TOKENS, "Two Authorization headers", "400")
async def two_headers(team: Team, fal: Emulator) -> None:
    good = team.headers("alice")["authorization"].encode()
    headers = [(b"authorization", b"Bearer x"), (b"authorization", good)]
    answer = await team.client().post(team.url, json=initialize(), headers=headers)
    assert answer.status_code == 400


@attack(TOKENS, "Another scheme: Basic, Key, no scheme, Bearer without a token", "401")
async def other_schemes(team: Team, fal: Emulator) -> None:
    good = team.tokens["alice"]
    for value in (f"Basic {good}", f"Key {good}", good, "Bearer", f"Bearer {good} {good}"):
        assert (await team.post({"authorization": value})).status_code == 401, value


@attack(TOKENS, "A token of this issuer for another service", "401")
async def foreign_audience(team: Team, fal: Emulator) -> None:
    for audience in ("http://other.example/mcp", f"{AUDIENCE}/x", "http://fal.example.com", [], "", ["http://x"], None):
        await refused(team, team.issuer.token(aud=audience))


@attack(TOKENS, "A token of another issuer with the same keys", "401")
async def foreign_issuer(team: Team, fal: Emulator) -> None:
    for issuer in ("https://evil.example", f"{team.issuer.url}/", f"{team.issuer.url}/x", None):
        await refused(team, team.issuer.token(iss=issuer))


@attack(TOKENS, "An expired token, or one without an end", "401")
async def expired(team: Team, fal: Emulator) -> None:
    for end in (int(time.time()) - 3600, 0, None, "soon"):
        await refused(team, team.issuer.token(exp=end))


@attack(TOKENS, "A token that is not valid yet", "401")
async def not_yet(team: Team, fal: Emulator) -> None:
    await refused(team, team.issuer.token(nbf=int(time.time()) + 3600))


@attack(TOKENS, "A token without a subject", "401")
async def no_subject(team: Team, fal: Emulator) -> None:
    for subject in (None, "", 7, ["carol"]):
        await refused(team, team.issuer.token(sub=subject))


@attack(TOKENS, "A token signed with a key of one's own under the issuer's key id", "401")
async def own_signature(team: Team, fal: Emulator) -> None:
    await refused(team, team.issuer.token(key=key_pair("evil")))


@attack(TOKENS, "Claims that were changed after signing", "401")
async def changed_claims(team: Team, fal: Emulator) -> None:
    header, body, signature = team.issuer.token().split(".")
    claims = json.loads(base64.urlsafe_b64decode(body + "=="))
    await refused(team, ".".join([header, _part({**claims, "sub": "admin"}), signature]))


@attack(TOKENS, "alg: none, in any spelling", "401")
async def algorithm_none(team: Team, fal: Emulator) -> None:
    body = team.issuer.token().split(".")[1]
    for name in ("none", "None", "NONE", "nOnE", ""):
        for signature in ("", "x"):
            await refused(team, ".".join([_part({"alg": name, "kid": "k1"}), body, signature]))


@attack(TOKENS, "alg: HS256 with the issuer's public key as the secret", "401")
async def public_key_as_secret(team: Team, fal: Emulator) -> None:
    body = team.issuer.token().split(".")[1]
    pem = (
        key_pair()
        .public_key()
        .public_bytes(serialization.Encoding.PEM, serialization.PublicFormat.SubjectPublicKeyInfo)
    )
    modulus = base64.urlsafe_b64decode(public_jwk()["n"] + "==")
    for secret in (pem, pem.strip(), json.dumps(public_jwk()).encode(), modulus, b""):
        for name, digest_of in (("HS256", hashlib.sha256), ("HS512", hashlib.sha512)):
            signed = f"{_part({'alg': name, 'kid': 'k1'})}.{body}"
            mac = hmac.new(secret, signed.encode(), digest_of).digest()
            await refused(team, f"{signed}.{base64.urlsafe_b64encode(mac).rstrip(b'=').decode()}")


@attack(TOKENS, "A key within the token itself: jwk, jku, x5u, x5c", "401, and nothing is fetched from there")
async def key_in_header(team: Team, fal: Emulator) -> None:
    evil = public_jwk("evil", "evil")
    for more in ({"jwk": evil}, {"jku": f"{team.issuer.url}/evil"}, {"x5u": f"{team.issuer.url}/evil"}, {"x5c": ["x"]}):
        for kid in ("k1", "evil", None):
            await refused(team, team.issuer.token(key=key_pair("evil"), header={**more, "kid": kid}))
    assert "/evil" not in team.issuer.asked


@attack(
    TOKENS, "A key id that is a path, an address, a statement, or no text", "401, and nothing is fetched from there"
)
async def odd_key_ids(team: Team, fal: Emulator) -> None:
    body, signature = team.issuer.token().split(".")[1:]
    for kid in ("../../../dev/null", f"{team.issuer.url}/evil", "' OR 1=1 --", "k1\x00", "", 7, None, ["k1"], {"k": 1}):
        await refused(team, ".".join([_part({"alg": "RS256", "kid": kid}), body, signature + "A"]))
    assert set(team.issuer.asked) <= {"/.well-known/oauth-authorization-server", "/keys"}


@attack(TOKENS, "An extension that must be understood (crit), and is not", "401")
async def critical(team: Team, fal: Emulator) -> None:
    await refused(team, team.issuer.token(header={"crit": ["x"], "x": 1}))


@attack(TOKENS, "What is no token at all: too long, too many parts, no base64, deep JSON", "401")
async def no_token_at_all(team: Team, fal: Emulator) -> None:
    deep = base64.urlsafe_b64encode(b"[" * 5000).decode()
    for token in ("a.b.c", "..", "a.b.c.d.e", f"{deep}.{deep}.x", "x" * 12_000, "eyJ.eyJ.", "%00.%00.%00"):
        await refused(team, token)


@attack(
    TOKENS, "A good token whose scopes are none of ours, or wider than its words", "403, with the scope that is needed"
)
async def foreign_scopes(team: Team, fal: Emulator) -> None:
    for scope in ("", "openid admin *", "fal:*", "fal:readx", "FAL:READ", 7, {"fal:read": True}):
        answer = await team.with_token(team.issuer.token(scope=scope))
        challenge = answer.headers["www-authenticate"]
        assert answer.status_code == 403 and 'error="insufficient_scope"' in challenge, scope
        assert 'scope="fal:read"' in challenge


@attack(
    KEYS, "Tokens of unknown keys, by the hundred, to have the keys fetched (JWKS flood)", "401; one fetch a minute"
)
async def unknown_keys(team: Team, fal: Emulator) -> None:
    for number in range(100):
        await refused(team, team.issuer.token(header={"kid": f"k{number + 2}"}))
    assert team.issuer.asked.count("/keys") == 1
    assert (await team.with_token(team.issuer.token())).status_code == 200


@attack(KEYS, "The issuer publishes a shared secret among its keys, or one for encryption", "401: they are not used")
async def odd_keys(team: Team, fal: Emulator) -> None:
    secret = base64.urlsafe_b64encode(b"s" * 32).rstrip(b"=").decode()
    encrypts = {**public_jwk("evil", "enc"), "use": "enc"}
    team.issuer.keys = [{"kty": "oct", "k": secret, "kid": "s", "alg": "HS256"}, encrypts, {}, public_jwk()]
    await refused(team, team.issuer.token(key="s" * 32, algorithm="HS256", header={"kid": "s"}))
    await refused(team, team.issuer.token(key=key_pair("evil"), header={"kid": "enc"}))
    assert (await team.with_token(team.issuer.token())).status_code == 200


@attack(KEYS, "The issuer is away at the first token", "503, and never let in for it")
async def issuer_away(team: Team, fal: Emulator) -> None:
    team.issuer.is_away = True
    answer = await team.with_token(team.issuer.token())
    assert answer.status_code == 503 and answer.headers["retry-after"]
    assert (await team.with_token(team.tokens["bob"])).status_code == 200


@attack(KEYS, "A caller's own key where the server pays", "400: it is not taken, nor sent on")
async def own_key_where_server_pays(team: Team, fal: Emulator) -> None:
    answer = await team.post({**team.headers("alice"), "x-fal-key": UNKNOWN_KEY})
    assert answer.status_code == 400 and UNKNOWN_KEY not in answer.text


@attack(KEYS, "No key, or one that is none, where each pays", "401", own_keys=True)
async def no_own_key(team: Team, fal: Emulator) -> None:
    for key in ("", "x y", "${FAL_KEY}", "'quoted'", "k" * 2000, "Key abc:def"):
        answer = await team.post({"x-fal-key": key})
        assert answer.status_code == 401, key
    assert (await team.post({"authorization": f"Bearer {KEY}"})).status_code == 401


@attack(KEYS, "A key that fal does not know, where each pays", "401, and it is remembered for a minute", own_keys=True)
async def unknown_own_key(team: Team, fal: Emulator) -> None:
    for _ in range(5):
        assert (await team.post({"x-fal-key": UNKNOWN_KEY})).status_code == 401
    assert len([each for each in fal.calls if "pricing" in each.path]) == 1


@attack(
    KEYS,
    "Another's key id with a secret of one's own, to see their jobs",
    "401: who it is is told by the whole key",
    own_keys=True,
)
async def half_a_key(team: Team, fal: Emulator) -> None:
    assert (await team.post({"x-fal-key": f"{KEY.partition(':')[0]}:{'0' * 32}"})).status_code == 401


@attack(KEYS, "Two keys at once", "400", own_keys=True)
async def two_own_keys(team: Team, fal: Emulator) -> None:
    headers = [(b"x-fal-key", KEY.encode()), (b"x-fal-key", UNKNOWN_KEY.encode())]
    assert (await team.client().post(team.url, json=initialize(), headers=headers)).status_code == 400


@attack(
    KEYS, "The ledger, the logs and the answers are searched for a caller's key", "It is in none of them", own_keys=True
)
async def key_at_rest(team: Team, fal: Emulator) -> None:
    host = Host(team.url, team.client({"x-fal-key": KEY}))
    answer = await host.ask("tools/call", {}, name="fal-ai_flux_dev", arguments={"prompt": "x"})
    secret = KEY.partition(":")[2]
    assert not answer["result"].get("isError") and secret not in json.dumps(answer)
    assert team.settings.data is not None
    files = [file for file in team.settings.data.rglob("*") if file.is_file()]
    assert files and [file for file in files if secret.encode() in file.read_bytes()] == []
