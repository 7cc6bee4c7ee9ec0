"""Every champion, every night.

Runs each agent's champion on its gold set again. Models behind an endpoint change without a release; a champion that no
longer keeps its absolute gates turns this red the next morning. Nothing is moved.
"""

from datetime import timedelta

from airflow.sdk import DAG, CronTriggerTimetable

from goldgate_airflow.defaults import DEFAULT_ARGS, EVALUATION_POOL
from goldgate_airflow.operators.champions import ChampionsOperator
from goldgate_airflow.operators.step import StepOperator

with DAG(
    dag_id="nightly_eval",
    doc_md=__doc__,
    schedule=CronTriggerTimetable("17 2 * * *", timezone="UTC"),
    catchup=False,
    max_active_runs=1,
    default_args=DEFAULT_ARGS,
    tags=["goldgate", "evaluation"],
) as dag:
    champions = ChampionsOperator(task_id="champions")
    StepOperator.partial(
        task_id="evaluate_champion",
        step="evaluate_champion",
        in_cluster=True,
        fails_unless=("verdict", "pass"),
        pool=EVALUATION_POOL,
        execution_timeout=timedelta(hours=2),
        map_index_template="agent {{ task.arguments['agent'] }}",
    ).expand(arguments=champions.output)
