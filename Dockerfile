# Kluis as a sidecar: the image of the database service plus one program.
#
# The base is the database's own image, so that pg_dump, and the server that proves a backup, are of the database's own version, and so that the
# two containers share their layers on disk. For another major: --build-arg PG_MAJOR=17.
#
# Each stage and image has a name that "--build-context NAME=…" can replace: "build" by a folder with a ready program in out/kluis, the two
# images by mirrors or local copies. Only the stage "build" needs a network.
ARG PG_MAJOR=16
ARG RUST_VERSION=1.95

# ---------------------------------------------------------------- the program
# Debian 12, because a program that was linked with its libc and OpenSSL 3 runs on that and every later release, whichever the base below is.
FROM rust:${RUST_VERSION}-bookworm AS build
# What "scripts/setup build" lists for the compressor, which is built from source, and for TLS. The versions are those of the release above.
# hadolint ignore=DL3008
RUN apt-get update \
	&& apt-get install -y --no-install-recommends autoconf automake libssl-dev libtool make nasm pkg-config \
	&& rm -rf /var/lib/apt/lists/*
WORKDIR /kluis
COPY Cargo.toml Cargo.lock ./
COPY src src
COPY tests/sql tests/sql
# The caches only save time: what is built follows from Cargo.lock alone.
RUN --mount=type=cache,id=kluis-registry,target=/usr/local/cargo/registry,sharing=locked \
	--mount=type=cache,id=kluis-target,target=/kluis/target,sharing=locked \
	cargo build --release --locked --bin kluis \
	&& install -D target/release/kluis /out/kluis \
	&& strip /out/kluis
# Whom TLS trusts: the database's image has no authorities, and messages go to services of others.
RUN cp /etc/ssl/certs/ca-certificates.crt /out/

# ---------------------------------------------------------------- the sidecar
FROM postgres:${PG_MAJOR}
LABEL org.opencontainers.image.title="kluis" \
	org.opencontainers.image.description="PostgreSQL backups that are proven by restoring them" \
	org.opencontainers.image.licenses="MIT OR Apache-2.0"
COPY --from=build --chmod=0755 /out/kluis /usr/local/bin/kluis
# A new volume takes owner and mode from the folder that it is mounted on. /scratch is shared like /tmp: a tmpfs there is root's, and Kluis makes
# a folder of its own in it.
RUN --mount=type=bind,from=build,source=/out,target=/mnt \
	install -d -o postgres -g postgres -m 0700 /backups && install -d -m 1777 /scratch \
	&& if [ -f /mnt/ca-certificates.crt ]; then install -D -m 0644 /mnt/ca-certificates.crt /etc/ssl/certs/ca-certificates.crt; fi
# Inside the container every visitor comes from elsewhere: the status page is at port 8080, and without BACKUP_HTTP_TOKEN it shows verdicts only.
ENV BACKUP_DIR=/backups BACKUP_SCRATCH_DIR=/scratch/kluis SSL_CERT_FILE=/etc/ssl/certs/ca-certificates.crt BACKUP_HTTP=0.0.0.0:8080
EXPOSE 8080
# The user postgres of the base; as a number, because then whoever starts the container can see that it is not root.
USER 999:999
WORKDIR /
# PostgreSQL's SIGINT comes with the base; here SIGTERM ends a run cleanly.
STOPSIGNAL SIGTERM
# Healthy only while the backups are fresh. Until the first run has ended the check waits, and the container counts as starting; a start period would hide that it failed.
HEALTHCHECK --interval=1m --timeout=30m --retries=1 CMD ["kluis", "status", "--quiet", "--wait"]
ENTRYPOINT ["kluis"]
CMD ["serve"]
