"""TLS for loopback servers that stand for public hosts. Made for these tests, trusted nowhere else."""

import ssl
import tempfile
from pathlib import Path

HOSTS = ("pictures.example", "other.example")

_AUTHORITY = """\
-----BEGIN CERTIFICATE-----
MIIBrjCCAVSgAwIBAgIUPlRBPjpmfNg3w2CH3AqqRuJ14YkwCgYIKoZIzj0EAwIw
IjEgMB4GA1UEAwwXTG9vcGJhY2sgdGVzdCBhdXRob3JpdHkwIBcNMjYxMTIwMTc0
NTExWhgPMjEyNjEwMjcxNzQ1MTFaMCIxIDAeBgNVBAMMF0xvb3BiYWNrIHRlc3Qg
YXV0aG9yaXR5MFkwEwYHKoZIzj0CAQYIKoZIzj0DAQcDQgAEZyaVvSAkDUHcSuHZ
F7MU83FmRHrJC6EWtKraBdesEsrfxR4qezlpwBFTCNnQnudS3TVcojnpF0mgyEEb
3N4XrKNmMGQwEgYDVR0TAQH/BAgwBgEB/wIBADAOBgNVHQ8BAf8EBAMCAQYwHQYD
VR0OBBYEFJYjR8FwJv9hi+QcMGEIRgGGKx9WMB8GA1UdIwQYMBaAFJYjR8FwJv9h
i+QcMGEIRgGGKx9WMAoGCCqGSM49BAMCA0gAMEUCIDgz30DMBL2NCWb0EE3IaS5u
2r8ejQIZTjwhNlMvK1S3AiEAk/ZTQ6a9XaRIo+ok3MqoUxUglZgYZntSC1MvEBUC
3Hk=
-----END CERTIFICATE-----
"""
_CERTIFICATE = """\
-----BEGIN CERTIFICATE-----
MIIB4zCCAYqgAwIBAgIUDhLJQpj3lEz2gpkEt5mEVhqxcigwCgYIKoZIzj0EAwIw
IjEgMB4GA1UEAwwXTG9vcGJhY2sgdGVzdCBhdXRob3JpdHkwIBcNMjYxMTIwMTc0
NTExWhgPMjEyNjEwMjcxNzQ1MTFaMBsxGTAXBgNVBAMMEHBpY3R1cmVzLmV4YW1w
bGUwWTATBgcqhkjOPQIBBggqhkjOPQMBBwNCAASOonUZnJ8t0OXuUKhtlrcaT+Be
En/CpJ/pl2TS4rZLMK3J0+Q0Rdk5yP9dG7Lcpn5pmxAfm56+fyIfr5wKyAJBo4Gi
MIGfMAwGA1UdEwEB/wQCMAAwDgYDVR0PAQH/BAQDAgeAMBMGA1UdJQQMMAoGCCsG
AQUFBwMBMB0GA1UdDgQWBBR9QRuaMobbah76C6AmsqYEnHjmtDAfBgNVHSMEGDAW
gBSWI0fBcCb/YYvkHDBhCEYBhisfVjAqBgNVHREEIzAhghBwaWN0dXJlcy5leGFt
cGxlgg1vdGhlci5leGFtcGxlMAoGCCqGSM49BAMCA0cAMEQCIEhW8pwMC/9+vwU8
Vnor1jnJbb1e8SMRnitFeF6Ws/8dAiBYrYzBik62HJmF0MYqp2drkQGrKYpcp1s7
LbxNhblF0g==
-----END CERTIFICATE-----
"""
_KEY = """\
-----BEGIN PRIVATE KEY-----
MIGHAgEAMBMGByqGSM49AgEGCCqGSM49AwEHBG0wawIBAQQgSGoqOHyvxYy5wx+q
A4Kh526IDxw/T+GGws7CbCi6WoShRANCAASOonUZnJ8t0OXuUKhtlrcaT+BeEn/C
pJ/pl2TS4rZLMK3J0+Q0Rdk5yP9dG7Lcpn5pmxAfm56+fyIfr5wKyAJB
-----END PRIVATE KEY-----
"""


def server_tls() -> ssl.SSLContext:
    """The side of a server that may call itself any of `HOSTS`."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    with tempfile.TemporaryDirectory() as folder:
        chain = Path(folder) / "chain.pem"
        chain.write_text(_CERTIFICATE + _KEY, "ascii")
        context.load_cert_chain(chain)
    return context


def client_tls() -> ssl.SSLContext:
    """The side of a client that trusts such servers and no others."""
    return ssl.create_default_context(cadata=_AUTHORITY)
