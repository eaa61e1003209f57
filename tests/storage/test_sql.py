import pytest

from dotdo.errors import NotAllowed, StorageError
from dotdo.storage import sql
from dotdo.storage.keyvalue import KeyValue
from dotdo.storage.sql import SqlError


@pytest.fixture
def file(make_file):
    file = make_file()
    KeyValue(file).put("secret", 1)
    sql.run(file, "CREATE TABLE lines(id INTEGER PRIMARY KEY, sku TEXT NOT NULL, quantity INTEGER)")
    sql.run(file, "INSERT INTO lines(sku, quantity) VALUES(?, ?), (?, ?)", ("a", 1, "b", 2))
    file.commit()
    return file


def test_rows_come_as_dicts(file):
    cursor = sql.run(file, "SELECT sku, quantity FROM lines ORDER BY sku")
    assert cursor.columns == ["sku", "quantity"]
    assert cursor.all() == list(cursor) == [{"sku": "a", "quantity": 1}, {"sku": "b", "quantity": 2}]
    assert cursor.first() == {"sku": "a", "quantity": 1}
    assert (cursor.rows_read, cursor.rows_written) == (2, 0)
    with pytest.raises(ValueError, match="2 rows"):
        cursor.one()
    assert sql.run(file, "SELECT quantity FROM lines WHERE sku = ?", ("b",)).one() == {"quantity": 2}


def test_an_empty_result_knows_its_columns(file):
    cursor = sql.run(file, "SELECT sku AS s FROM lines WHERE 0")
    assert cursor.columns == ["s"]
    assert (cursor.all(), cursor.first()) == ([], None)
    with pytest.raises(ValueError, match="0 rows"):
        cursor.one()


def test_writes_are_counted_and_returning_gives_rows(file):
    assert sql.run(file, "UPDATE lines SET quantity = quantity + 1").rows_written == 2
    cursor = sql.run(file, "INSERT INTO lines(sku) VALUES('c') RETURNING id")
    assert (cursor.one(), cursor.rows_written) == ({"id": 3}, 1)


def test_several_statements_give_the_last_ones_rows(file):
    cursor = sql.run(file, "CREATE TABLE t(a); INSERT INTO t VALUES(1); SELECT 1; SELECT a AS last FROM t")
    assert cursor.all() == [{"last": 1}]


REFUSED = [
    "BEGIN",
    "COMMIT",
    "/* x */ ROLLBACK",
    "SELECT 1; COMMIT",
    "SAVEPOINT a",
    "RELEASE a",
    "ATTACH 'x.sqlite' AS x",
    "DETACH main",
    "VACUUM INTO 'copy.sqlite'",
    "SELECT * FROM _do_kv",
    'SELECT * FROM "_DO_KV"',
    "SELECT * FROM main._do_fields",
    "SELECT (SELECT value FROM _do_kv) FROM lines",
    "WITH x AS (SELECT * FROM _do_kv) SELECT * FROM x",
    "INSERT INTO _do_fields VALUES('n', x'00')",
    "DELETE FROM _do_kv",
    "DROP TABLE _do_kv",
    "ALTER TABLE _do_kv RENAME TO mine",
    "ALTER TABLE lines RENAME TO _do_journal",
    'ALTER TABLE lines RENAME TO "_Do_Journal"',
    "CREATE TABLE _do_mine(a)",
    "CREATE INDEX _do_index ON lines(sku)",
    "CREATE INDEX mine ON _do_fields(value)",
    "CREATE TRIGGER t AFTER INSERT ON _do_fields BEGIN DELETE FROM lines; END",
    "CREATE VIEW _do_view AS SELECT 1",
    "CREATE TEMP TABLE t(a)",
    "CREATE TEMP VIEW v AS SELECT 1",
    "CREATE VIRTUAL TABLE v USING dbstat",
    "CREATE VIRTUAL TABLE _do USING fts5(a)",
    "CREATE VIRTUAL TABLE v USING csv(filename='/etc/passwd')",
    "PRAGMA user_version=99",
    "PRAGMA journal_mode=DELETE",
    "PRAGMA locking_mode=NORMAL",
    "PRAGMA writable_schema=1",
    "PRAGMA synchronous",
    "PRAGMA wal_checkpoint",
    "PRAGMA table_info(_do_kv)",
    "SELECT * FROM pragma_user_version",
    "SELECT load_extension('x')",
    "INSERT OR ROLLBACK INTO lines(id, sku) VALUES(1, 'x')",
    "CREATE TABLE t(a UNIQUE ON CONFLICT ROLLBACK)",
    "ANALYZE _do_kv",
]


@pytest.mark.parametrize("query", REFUSED)
def test_what_belongs_to_the_runtime_is_refused(file, tmp_path, query):
    before = file.query("SELECT * FROM _do_kv"), file.load_fields()
    with pytest.raises((NotAllowed, SqlError)) as refusal:
        sql.run(file, query)
    if "VACUUM" not in query:
        assert refusal.type is NotAllowed
    assert (file.query("SELECT * FROM _do_kv"), file.load_fields()) == before
    assert not file.is_broken
    assert not (tmp_path / "copy.sqlite").exists()
    sql.run(file, "INSERT INTO lines(sku) VALUES('still here')")
    file.commit()


def test_a_view_or_trigger_does_not_open_a_way_round(file):
    sql.run(file, "CREATE VIEW v AS SELECT * FROM _do_kv")
    with pytest.raises(NotAllowed):
        sql.run(file, "SELECT * FROM v")
    sql.run(file, "CREATE TRIGGER t AFTER INSERT ON lines BEGIN DELETE FROM _do_kv; END")
    with pytest.raises(NotAllowed):
        sql.run(file, "INSERT INTO lines(sku) VALUES('x')")


def test_a_statement_of_the_runtime_in_the_cache_is_no_way_in(file):
    store = KeyValue(file)
    for _ in range(3):
        store.get("secret")
        store.put("secret", 2)
    for query in ("SELECT value FROM _do_kv WHERE key = ?1", "SELECT name, value FROM _do_fields", "COMMIT --_do_"):
        with pytest.raises(NotAllowed):
            sql.run(file, query, ("secret",) if "?" in query else ())


@pytest.mark.parametrize("query", ["SELECT name FROM sqlite_schema", "SELECT tbl_name, sql FROM sqlite_master", "PRAGMA table_list"])
def test_the_runtimes_tables_are_hidden(file, query):
    rows = sql.run(file, query).all()
    assert any("lines" in row.values() for row in rows)
    assert "_do_" not in str(rows)


def test_full_text_and_rtree_tables_work(file):
    sql.run(file, "CREATE VIRTUAL TABLE notes USING fts5(body)")
    sql.run(file, "INSERT INTO notes VALUES('a red bicycle')")
    sql.run(file, "CREATE VIRTUAL TABLE places USING rtree(id, x1, x2)")
    sql.run(file, "INSERT INTO places VALUES(1, 0.0, 1.0)")
    file.commit()
    assert sql.run(file, "SELECT body FROM notes WHERE notes MATCH 'bicycle'").one() == {"body": "a red bicycle"}
    assert sql.run(file, "SELECT id FROM places WHERE x1 < 0.5").one() == {"id": 1}


@pytest.mark.parametrize(
    ("query", "params"),
    [
        ("SELEC 1", ()),
        ("SELECT * FROM missing", ()),
        ("SELECT ?", ()),
        ("SELECT 1", (1,)),
        ("SELECT ?", (object(),)),
        ("SELECT ?", (2**70,)),
        ("INSERT INTO lines(id, sku) VALUES(1, 'x')", ()),
        ("INSERT INTO lines(sku) VALUES(NULL)", ()),
        (f"SELECT {','.join('?' * 101)}", (1,) * 101),
        (f"SELECT {'+'.join('1' * 200)}", ()),
    ],
)
def test_wrong_sql_is_the_users_error_and_undoes_only_itself(file, query, params):
    sql.run(file, "INSERT INTO lines(sku) VALUES('before')")
    with pytest.raises(SqlError):
        sql.run(file, query, params)
    assert not file.is_broken
    file.commit()
    assert sql.run(file, "SELECT count(*) AS n FROM lines").one() == {"n": 3}


def test_a_rollback_that_slips_through_ends_the_activation_instead_of_splitting_the_turn(file):
    sql.run(file, "CREATE TABLE t(a UNIQUE ON CONFLICT /* hidden */ ROLLBACK)")
    file.commit()
    sql.run(file, "INSERT INTO t VALUES(1)")
    with pytest.raises(SqlError):
        sql.run(file, "INSERT INTO t VALUES(1)")
    with pytest.raises(StorageError):
        sql.run(file, "INSERT INTO t VALUES(2)")
    with pytest.raises(StorageError):
        file.commit()


def test_a_write_on_a_file_that_does_not_exist_makes_it(make_file):
    file = make_file("new")
    with pytest.raises(SqlError):
        sql.run(file, "SELECT * FROM t")
    assert not file.exists()
    sql.run(file, "CREATE TABLE IF NOT EXISTS t(a)")
    file.commit()
    assert sql.run(file, "SELECT * FROM t").all() == []
