# A stand-in for the official image rust:…-bookworm on a machine that cannot pull it: this machine's own toolchain on Debian 12.
# Built by scripts/container-host, with the toolchain in toolchain/.
ARG BASE
FROM ${BASE}
ARG RECIPE
LABEL kluis.stand-in=${RECIPE}
# hadolint ignore=DL3008
RUN apt-get update \
	&& apt-get install -y --no-install-recommends gcc g++ libc6-dev \
	&& rm -rf /var/lib/apt/lists/*
COPY toolchain /usr/local/rustup/toolchains/machine
ENV CARGO_HOME=/usr/local/cargo RUSTUP_HOME=/usr/local/rustup
ENV PATH=/usr/local/cargo/bin:/usr/local/rustup/toolchains/machine/bin:/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin
RUN cargo --version && rustc --version
CMD ["bash"]
