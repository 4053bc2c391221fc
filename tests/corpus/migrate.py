"""Runs the migrations of an application from PyPI in a database, whose server writes down the statements: they are a schema as its own authors made it.

usage: migrate.py NAME HOST PORT DATABASE      with NAME from APPLICATIONS
       migrate.py packages                     prints what pip has to install
       migrate.py names
"""

import sys

CONTRIB = ["admin", "auth", "contenttypes", "sessions", "messages", "sites", "flatpages", "redirects", "postgres"]
BASE = ["django.contrib." + name for name in CONTRIB]

# The name of each, its package, and what it adds to Django's own applications.
APPLICATIONS = {
    "django": ("Django<5.3", []),
    "django-allauth": ("django-allauth", ["allauth", "allauth.account", "allauth.socialaccount"]),
    "django-guardian": ("django-guardian", ["guardian"]),
    "django-reversion": ("django-reversion", ["reversion"]),
    "django-celery-beat": ("django-celery-beat", ["django_celery_beat"]),
    "django-celery-results": ("django-celery-results", ["django_celery_results"]),
    "django-oauth-toolkit": ("django-oauth-toolkit", ["oauth2_provider"]),
    "django-otp": ("django-otp", ["django_otp", "django_otp.plugins.otp_totp", "django_otp.plugins.otp_static", "django_otp.plugins.otp_email"]),
    "django-waffle": ("django-waffle", ["waffle"]),
    "django-taggit": ("django-taggit", ["taggit"]),
    "easy-thumbnails": ("easy-thumbnails", ["easy_thumbnails"]),
    "django-q2": ("django-q2", ["django_q"]),
    "django-hordak": ("django-hordak", ["mptt", "hordak"]),
    "django-pghistory": ("django-pghistory", ["pgtrigger", "pghistory"]),
    "djangorestframework": ("djangorestframework", ["rest_framework", "rest_framework.authtoken"]),
    "wagtail": (
        "wagtail",
        ["wagtail.contrib.forms", "wagtail.contrib.redirects", "wagtail.embeds", "wagtail.sites", "wagtail.users", "wagtail.snippets", "wagtail.documents", "wagtail.images", "wagtail.search", "wagtail.admin", "wagtail", "modelcluster", "taggit"],
    ),
}


def main():
    if sys.argv[1:] == ["packages"]:
        print(*(package for package, _ in APPLICATIONS.values()), "psycopg2-binary", sep="\n")
        return
    if sys.argv[1:] == ["names"]:
        print(*APPLICATIONS, sep="\n")
        return
    name, host, port, database = sys.argv[1:]
    import django
    from django.conf import settings
    from django.core.management import call_command

    own = APPLICATIONS[name][1]
    settings.configure(
        SECRET_KEY="none",
        INSTALLED_APPS=BASE + [app for app in own if app not in BASE],
        DATABASES={"default": {"ENGINE": "django.db.backends.postgresql", "HOST": host, "PORT": port, "NAME": database, "USER": "postgres"}},
        SITE_ID=1,
        USE_TZ=True,
        DEFAULT_AUTO_FIELD="django.db.models.BigAutoField",
        MIDDLEWARE=["allauth.account.middleware.AccountMiddleware"][: name == "django-allauth"] + ["django.contrib.sessions.middleware.SessionMiddleware", "django.contrib.auth.middleware.AuthenticationMiddleware", "django.contrib.messages.middleware.MessageMiddleware"],
        TEMPLATES=[{"BACKEND": "django.template.backends.django.DjangoTemplates", "APP_DIRS": True, "OPTIONS": {"context_processors": ["django.contrib.auth.context_processors.auth", "django.contrib.messages.context_processors.messages", "django.template.context_processors.request"]}}],
        SILENCED_SYSTEM_CHECKS=["account.E001"],
        ROOT_URLCONF="django.contrib.flatpages.urls",
        WAGTAIL_SITE_NAME="site",
        WAGTAILADMIN_BASE_URL="http://localhost",
        OAUTH2_PROVIDER_APPLICATION_MODEL="oauth2_provider.Application",
        STATIC_URL="/static/",
        DEFAULT_CURRENCY="EUR",
        CURRENCIES=["EUR"],
    )
    django.setup()
    call_command("migrate", verbosity=0, skip_checks=True)


main()
