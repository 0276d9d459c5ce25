# The service alone; it needs a PostgreSQL of its own (DATABASE_URL), see compose.yaml.

FROM rust:1.95-slim-bookworm AS builder
# libpq and OpenSSL are built from source.
RUN apt-get update \
    && apt-get install -y --no-install-recommends gcc libc6-dev make perl \
    && rm -rf /var/lib/apt/lists/*
WORKDIR /src
COPY Cargo.toml Cargo.lock ./
COPY migrations migrations
COPY src src
RUN cargo build --locked --release --bin ecrm

FROM debian:bookworm-slim
COPY --from=builder --chown=root:root --chmod=0755 /src/target/release/ecrm /usr/local/bin/ecrm
ENV ECRM_BIND=0.0.0.0:8080
EXPOSE 8080
# Nobody in particular: owns no file, writes none.
USER 65532:65532
STOPSIGNAL SIGTERM
HEALTHCHECK --interval=10s --timeout=5s --start-period=30s --retries=3 CMD ["/usr/local/bin/ecrm", "health"]
ENTRYPOINT ["/usr/local/bin/ecrm"]
CMD ["serve"]
