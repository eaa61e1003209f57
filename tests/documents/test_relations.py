"""Relations between documents and entities, both ways."""

import pytest

from dotdo import DO, DefinitionError, N, QueryError, db
from tests.crashes import killed_at_commit


class ClubMember(DO):
    name: str = ""

    async def call(self, name: str) -> str:
        self.name = name
        return self.name

    async def join(self, club: str) -> bool:
        return await db.relate(self, N.belongs_to, N[ClubMember(club)])


@pytest.mark.feature(327)
async def test_what_is_related_is_found_both_ways_in_order(rt):
    ann, bob = await db.People.create(name="ann"), await db.People.create(name="bob")
    news, mail = await db.Services.create(name="news", status="active"), await db.Services.create(name="mail")
    group = await db.Groups.create(name="all")
    assert await db.relate(ann, N.subscribes, news) is True
    assert await db.relate(ann, N.subscribes, mail) is True
    assert await db.relate(ann, N.subscribes, group) is True
    assert await db.relate(bob, N.subscribes, news) is True
    assert await db.relate(ann, N.subscribes, news) is False, "it was so already"
    assert await db.related(ann, N.subscribes, N.Service) == [news, mail]
    assert await db.related(ann, N.subscribes) == [news, mail, group]
    assert await db.related(ann, N.subscribes, limit=1) == [news]
    assert await db.related(news, N.subscribes, N.Person, inverse=True) == [ann, bob]
    assert await db.related(news, N.subscribes) == []
    assert await db.related(ann, N.likes, N.Service) == []
    assert await db.unrelate(ann, N.subscribes, news) is True
    assert await db.unrelate(ann, N.subscribes, news) is False
    assert await db.unrelate(ann, N.likes, news) is False
    assert await db.related(news, N.subscribes, inverse=True) == [bob]
    await db.Services.delete(mail.id)
    assert await db.related(ann, N.subscribes, N.Service) == []


@pytest.mark.feature(327)
async def test_entities_are_related_as_stubs_and_pairs_as_documents(rt):
    club = await db.Clubs.create(id="chess")
    await db.relate(ClubMember("m1"), N.plays_in, club)
    assert await db.related(club, N.plays_in, N.ClubMember, inverse=True) == [ClubMember("m1")]
    assert await db.related((N.Club, "chess"), N.plays_in, inverse=True) == [ClubMember("m1")]
    assert await ClubMember("m2").join("c1") is True
    assert await db.related(ClubMember("m2"), N.belongs_to) == [ClubMember("c1")]


async def test_a_relation_survives_a_crash(rt):
    ann, news = await db.People.create(name="ann"), await db.Services.create(name="news")
    with killed_at_commit(rt, 1):
        await db.relate(ann, N.subscribes, news)
    assert await db.related(ann, N.subscribes) == [news]


@pytest.mark.parametrize(
    ("one", "verb"),
    [("ann", N.subscribes), ({"a": 1}, N.subscribes), (("Person", "p"), "Order.created"), (("Person", "p"), "a b"), (("Person", "p"), 5)],
)
async def test_what_cannot_be_related_is_refused(rt, one, verb):
    with pytest.raises((QueryError, DefinitionError)):
        await db.relate(one, verb, ("Service", "s"))
    with pytest.raises(QueryError):
        await db.related(("Person", "p"), N.subscribes, limit=-1)
