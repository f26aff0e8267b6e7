# syntax=docker/dockerfile:1
# Build: docker build -t turnout .
# Run:   docker run --rm --read-only --tmpfs /tmp -p 8080:8080 -e TURNOUT_API_KEYS -e GEMINI_API_KEY turnout

FROM python:3.11-slim AS build
WORKDIR /src
ENV PIP_NO_CACHE_DIR=1 PIP_DISABLE_PIP_VERSION_CHECK=1
RUN python -m venv /opt/turnout
COPY requirements.lock requirements-build.lock ./
RUN /opt/turnout/bin/pip install --require-hashes --only-binary :all: -r requirements.lock \
 && python -m venv /opt/build \
 && /opt/build/bin/pip install --require-hashes --only-binary :all: -r requirements-build.lock
COPY pyproject.toml README.md LICENSE ./
COPY config ./config
COPY router ./router
COPY providers ./providers
RUN /opt/build/bin/pip wheel --no-deps --no-build-isolation --wheel-dir /dist . \
 && /opt/turnout/bin/pip install --no-deps --no-index /dist/turnout-*.whl \
 && /opt/turnout/bin/python -m compileall -q /opt/turnout/lib \
 && rm -rf /opt/turnout/lib/python3.11/site-packages/pip /opt/turnout/lib/python3.11/site-packages/pip-*.dist-info

FROM python:3.11-slim
RUN groupadd --gid 10001 turnout \
 && useradd --uid 10001 --gid 10001 --no-create-home --home-dir /nonexistent --shell /usr/sbin/nologin turnout
COPY --from=build /opt/turnout /opt/turnout
# Mount your own folder here; the shipped configuration is below /opt/turnout/share/turnout/config.
COPY --from=build --chown=root:root /src/config /etc/turnout
ENV PATH=/opt/turnout/bin:$PATH \
    PYTHONUNBUFFERED=1 \
    PYTHONDONTWRITEBYTECODE=1 \
    TURNOUT_CONFIG=/etc/turnout/turnout.yaml \
    TMPDIR=/tmp
USER 10001:10001
WORKDIR /tmp
EXPOSE 8080
# TURNOUT_API_KEYS must be set: without client keys the router refuses to listen beyond loopback.
HEALTHCHECK --interval=10s --timeout=3s --start-period=10s --retries=3 \
    CMD ["python", "-c", "import urllib.request as u; u.urlopen('http://127.0.0.1:8080/healthz', timeout=2)"]
STOPSIGNAL SIGTERM
ENTRYPOINT ["turnout"]
CMD ["serve", "--host", "0.0.0.0", "--port", "8080"]
