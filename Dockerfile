FROM rust:1.95-bookworm AS build
WORKDIR /src
COPY Cargo.toml Cargo.lock ./
COPY config config
COPY jobs jobs
COPY sandbox sandbox
COPY examples examples
COPY src src
RUN --mount=type=cache,target=/usr/local/cargo/registry \
    --mount=type=cache,target=/src/target \
    cargo build --profile dist --locked --bin dunlin \
    && install -D target/dist/dunlin /out/dunlin

# The builder's Debian, so that the C library is the same.
FROM debian:bookworm-slim
COPY --from=build /etc/ssl/certs/ca-certificates.crt /etc/ssl/certs/ca-certificates.crt
COPY --from=build /out/dunlin /usr/local/bin/dunlin
# Owned by the service's user, so that a volume mounted here is too.
RUN useradd --uid 10001 --no-create-home --home-dir /data --shell /usr/sbin/nologin dunlin \
    && install -d -o dunlin -g dunlin -m 0700 /data
USER 10001:10001
WORKDIR /data
ENV DUNLIN_DATA_DIR=/data \
    DUNLIN_HTTP__LISTEN=0.0.0.0:7070
EXPOSE 7070
ENTRYPOINT ["dunlin"]
CMD ["serve"]
