# A stand-in for the official image postgres:16 on a machine that cannot pull it: the same programs, paths, user, variables and entrypoint contract,
# as far as the Compose files and the Dockerfile rely on them. Built by scripts/container-host, with these programs in pg/.
ARG BASE
FROM ${BASE}
ARG PG_MAJOR
ARG RECIPE
LABEL kluis.stand-in=${RECIPE}
RUN groupadd -r postgres --gid=999 \
	&& useradd -r -g postgres --uid=999 --home-dir=/var/lib/postgresql --shell=/bin/bash postgres \
	&& install -d -o postgres -g postgres -m 1777 /var/lib/postgresql/data \
	&& install -d -o postgres -g postgres -m 3777 /var/run/postgresql \
	&& install -d /docker-entrypoint-initdb.d \
	&& chown postgres:postgres /var/lib/postgresql
COPY pg /usr/lib/postgresql/${PG_MAJOR}
COPY postgres-entrypoint /usr/local/bin/docker-entrypoint.sh
RUN /usr/lib/postgresql/${PG_MAJOR}/bin/postgres --version && chmod 0755 /usr/local/bin/docker-entrypoint.sh
ENV LANG=C.UTF-8 PG_MAJOR=${PG_MAJOR} PGDATA=/var/lib/postgresql/data
ENV PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin:/usr/lib/postgresql/${PG_MAJOR}/bin
VOLUME /var/lib/postgresql/data
ENTRYPOINT ["docker-entrypoint.sh"]
STOPSIGNAL SIGINT
EXPOSE 5432
CMD ["postgres"]
