"""Params that several DAGs ask for, the same way everywhere."""

from airflow.sdk import Param


def agent_param() -> Param:
    """Ask for an agent."""
    return Param(
        type="string",
        pattern=r"^[a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?$",
        title="Agent",
        description="Name of the agent: its folder below `include/agents/`.",
    )


def source_param() -> Param:
    """Ask where the candidate comes from."""
    return Param(
        None,
        type=["null", "string"],
        title="Source",
        description="A folder that holds the agent, or `git:<ref>`. Empty: the agent's folder as it lies.",
    )


def reason_param() -> Param:
    """Ask why."""
    return Param(
        type="string",
        minLength=1,
        maxLength=500,
        title="Reason",
        description="Why. It stands in the ledger for as long as the ledger exists.",
    )
