"""Checks capability tokens as a service does that has never heard of Keyward: PyJWT, the JWKS and the status lists.

Told by the environment: ISSUER, and TOKENS, a JSON object of tokens (they have no place in a command line). Prints what
it makes of each as JSON.
"""

import base64
import json
import os
import urllib.request
import zlib

import jwt

ISSUER = os.environ["ISSUER"]


def fetch(url: str) -> bytes:
    with urllib.request.urlopen(url, timeout=10) as answer:
        return answer.read()


metadata = json.loads(fetch(f"{ISSUER}/.well-known/oauth-authorization-server"))
assert metadata["issuer"] == ISSUER, metadata
keys = {key.key_id: key for key in jwt.PyJWKSet.from_json(fetch(metadata["jwks_uri"]).decode()).keys}


def read(text: str, typ: str, **rules: object) -> dict:
    header = jwt.get_unverified_header(text)
    if header["typ"] != typ:
        raise jwt.InvalidTokenError(f"the type is {header['typ']}")
    return jwt.decode(text, keys[header["kid"]], algorithms=["EdDSA"], **rules)


def status(reference: dict) -> int:
    uri = reference["uri"]
    claims = read(fetch(uri).decode(), "statuslist+jwt", subject=uri)
    bits, lst = claims["status_list"]["bits"], claims["status_list"]["lst"]
    values = zlib.decompress(base64.urlsafe_b64decode(lst + "=" * (-len(lst) % 4)))
    at = reference["idx"] * bits
    return values[at // 8] >> at % 8 & (1 << bits) - 1


found = {}
for name, token in json.loads(os.environ["TOKENS"]).items():
    try:
        rules = {"require": ["exp", "iat", "iss", "aud", "sub", "jti"]}
        claims = read(token, "at+jwt", issuer=ISSUER, audience=ISSUER, options=rules)
        found[name] = {"claims": claims, "status": status(claims["status"]["status_list"])}
    except (jwt.InvalidTokenError, KeyError) as error:
        found[name] = {"error": type(error).__name__}
print(json.dumps(found))
