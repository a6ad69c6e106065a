"""Forgotten awaits and a lost task, for the tools that find them."""

# --8<-- [start:wrong_publish]
import asyncio


async def may_publish(teacher: str) -> bool:
    """Ask the service that keeps the permissions."""
    return teacher == "Esi"


async def notify(learner: str) -> None:
    """Send an email."""
    print("email to", learner)


async def publish(teacher: str) -> str:
    """Publish grades, and tell Ama and Esi."""
    notify("Ama")  # type: ignore[unused-coroutine]
    asyncio.create_task(notify("Esi"))  # noqa: RUF006
    return "published" if may_publish(teacher) else "refused"


if __name__ == "__main__":
    print(asyncio.run(publish("Kofi")))
# --8<-- [end:wrong_publish]
