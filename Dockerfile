# One image for every part of the fleet; the command chooses. Built from the lock, hashes checked, run by nobody's root.
FROM python:3.13-slim AS build
ENV PIP_DISABLE_PIP_VERSION_CHECK=1 PIP_NO_CACHE_DIR=1
WORKDIR /build
COPY requirements/ requirements/
RUN python -m venv /opt/ponte \
 && /opt/ponte/bin/pip install --require-hashes -r requirements/runtime.lock \
 && python -m pip install --require-hashes -r requirements/build.lock
COPY pyproject.toml LICENSE ./
COPY events/ events/
COPY adapters/ adapters/
COPY workers/ workers/
RUN python -m pip wheel --no-deps --no-build-isolation --wheel-dir /wheel . \
 && /opt/ponte/bin/pip install --no-deps --no-index /wheel/*.whl

FROM python:3.13-slim
ENV PATH=/opt/ponte/bin:$PATH PYTHONUNBUFFERED=1 PYTHONDONTWRITEBYTECODE=1
RUN useradd --system --uid 10001 --home-dir /srv/ponte --shell /usr/sbin/nologin ponte \
 && install -d -o ponte -g ponte -m 700 /srv/ponte /srv/ponte/var
COPY --from=build /opt/ponte /opt/ponte
USER ponte
WORKDIR /srv/ponte
VOLUME /srv/ponte/var
STOPSIGNAL SIGTERM
CMD ["ponte", "--help"]
