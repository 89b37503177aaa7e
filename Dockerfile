# The server, in one small stage from what `make setup` and a release build made:
#
#   make setup && cargo build --release --bin semblance
#   docker build --tag semblance .
#   docker run --publish 8080:8080 semblance
#
# SageMaker runs the image with the argument `serve`, and calls /ping and /invocations.
FROM debian:13-slim

RUN useradd --system --uid 10001 --no-create-home semblance

COPY target/release/semblance /usr/local/bin/semblance
COPY build/lib/libonnxruntime.so /usr/local/lib/libonnxruntime.so
COPY build/model/default/ /opt/bundle/

ENV SEMBLANCE_BUNDLE=/opt/bundle \
    SEMBLANCE_ORT_LIBRARY=/usr/local/lib/libonnxruntime.so

USER 10001
EXPOSE 8080

#checkov:skip=CKV_DOCKER_2:The platform calls /ping, and the image has no HTTP client.
# The server has no authentication: publish the port to a proxy that has. Arguments are flags of
# `semblance serve`; SageMaker adds the word itself.
ENTRYPOINT ["/bin/sh", "-c", "[ \"$1\" != serve ] || shift; exec semblance serve --host 0.0.0.0 \"$@\"", "semblance"]
