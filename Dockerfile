# syntax=docker/dockerfile:1
FROM python:3.12.12-slim-bookworm AS build
WORKDIR /build
RUN python -m venv /venv
COPY requirements-production.lock ./
RUN /venv/bin/pip install --no-cache-dir --disable-pip-version-check --require-hashes -r requirements-production.lock
COPY pyproject.toml README.md ./
COPY orchestrator ./orchestrator
COPY activities ./activities
COPY api ./api
RUN /venv/bin/pip install --no-cache-dir --disable-pip-version-check --no-deps --no-build-isolation .

FROM python:3.12.12-slim-bookworm
LABEL org.opencontainers.image.title="orchestrator" \
      org.opencontainers.image.description="Automations described as JSON graphs, run durably on Temporal"
RUN groupadd --gid 10001 orchestrator && useradd --uid 10001 --gid 10001 --no-create-home orchestrator
COPY --from=build /venv /venv
ENV PATH=/venv/bin:$PATH PYTHONUNBUFFERED=1
WORKDIR /srv
USER 10001:10001
STOPSIGNAL SIGTERM
EXPOSE 8080
ENTRYPOINT ["orchestrator"]
CMD ["--help"]
