"""Runs the migrations by Alembic of an application from PyPI in a database, whose server writes down the statements.

usage: upgrade.py NAME HOST PORT DATABASE      with NAME from APPLICATIONS
       upgrade.py packages                     prints what pip has to install
       upgrade.py names
"""

import os
import subprocess
import sys
import tempfile


def of_openstack(program, section, words):
    """Its own command, told by a file where the database is."""

    def run(url):
        with tempfile.TemporaryDirectory() as folder:
            path = os.path.join(folder, "it.conf")
            with open(path, "w", encoding="utf-8") as file:
                file.write(f"[DEFAULT]\nlog_file =\n[{section}]\nconnection = {url}\n")
            subprocess.run([os.path.join(os.path.dirname(sys.executable), program), "--config-file", path, *words], check=True, cwd=folder)

    return run


def mlflow(url):
    import sqlalchemy
    from mlflow.store.db.utils import _initialize_tables

    _initialize_tables(sqlalchemy.create_engine(url))


def optuna(url):
    from optuna.storages import RDBStorage

    RDBStorage(url)


# The name of each, its package, and how it migrates.
APPLICATIONS = {
    "mlflow": ("mlflow-skinny", mlflow),
    "keystone": ("keystone", of_openstack("keystone-manage", "database", ["db_sync"])),
    "glance": ("glance", of_openstack("glance-manage", "database", ["db_sync"])),
    "optuna": ("optuna", optuna),
}


def main():
    if sys.argv[1:] == ["packages"]:
        print(*(package for package, _ in APPLICATIONS.values()), "alembic", "sqlalchemy", "psycopg2-binary", sep="\n")
        return
    if sys.argv[1:] == ["names"]:
        print(*APPLICATIONS, sep="\n")
        return
    name, host, port, database = sys.argv[1:]
    APPLICATIONS[name][1](f"postgresql+psycopg2://postgres@/{database}?host={host}&port={port}")


main()
