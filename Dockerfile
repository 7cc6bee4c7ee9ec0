# The Airflow image. BASE may be Apache's image or Astronomer's runtime: both are Debian with Airflow, Python and a user
# to run as. Pin it by digest.
#
#   docker build --build-arg BASE=apache/airflow:3.3.2-python3.11 --build-arg REVISION="$(git rev-parse HEAD)" .
#   docker build --build-arg BASE=<the `-base` image of an Astro Runtime with Airflow 3.3> \
#       --build-arg HOME_FOLDER=/usr/local/airflow --build-arg RUN_AS=astro .
#
# The runtime's other image, without `-base`, installs requirements.txt and packages.txt by itself before it comes here;
# that is why there is a packages.txt, with nothing in it.
ARG BASE=apache/airflow:3.3.2-python3.11
FROM ${BASE}

ARG HOME_FOLDER=/opt/airflow
ARG RUN_AS=airflow

USER root
WORKDIR ${HOME_FOLDER}
RUN chown "${RUN_AS}" "${HOME_FOLDER}"
USER ${RUN_AS}

# The lock pins Airflow too, so that what runs is what was tested, whatever the base brings.
COPY requirements.txt ./
RUN --mount=type=secret,id=pip.conf,target=/etc/pip.conf,required=false \
    python3 -m pip install --no-cache-dir --require-hashes --requirement requirements.txt

COPY dags ./dags
COPY plugins ./plugins
COPY include ./include

# There is no repository in here: images that are built from here tell this revision.
ARG REVISION=
ENV PYTHONPATH=${HOME_FOLDER}/include \
    GOLDGATE_REVISION=${REVISION}
