// A database cannot be reached, is locked, damaged or refuses the statement.

import { defineRules } from './contract.ts';

export default defineRules({
  name: 'database-error',
  type: 'database_error',
  severity: 'high',
  patterns: [
    {
      match: /database (?:table )?is locked|SQLITE_(?:BUSY|LOCKED)\b/,
      confidence: 0.96,
      severity: 'medium',
      because: 'SQLITE_BUSY',
    },
    {
      match:
        /database disk image is malformed|file is (?:encrypted or is )?not a database|SQLITE_(?:CORRUPT|NOTADB|IOERR)\w*|malformed database schema|database corruption/,
      confidence: 0.975,
      severity: 'critical',
      fixable: false,
      because: 'SQLITE_CORRUPT and SQLITE_NOTADB',
    },
    {
      match:
        /\bno such (?:table|column|function): |UNIQUE constraint failed|NOT NULL constraint failed|FOREIGN KEY constraint failed|CHECK constraint failed|attempt to write a readonly database|unable to open database file|SQLITE_(?:CONSTRAINT|ERROR|CANTOPEN|READONLY|MISUSE)\w*/,
      confidence: 0.95,
      fixable: false,
      because: 'SQLite',
    },
    {
      match:
        /(?:sqlite3|psycopg2?|asyncpg|aiomysql|aiosqlite|pymysql|MySQLdb|sqlalchemy|mysql|mariadb|redis|pymongo|mongoengine|peewee|cx_Oracle|oracledb|pyodbc|lancedb|qdrant_client|chromadb|elasticsearch|django\.db|tortoise|duckdb)\.[\w.]{0,80}(?:Error|Exception)\b/,
      confidence: 0.935,
      because: 'drivers of databases in Python',
    },
    {
      match:
        /(?:SQL\w*Exception|PSQLException|DataAccess\w*Exception|DataIntegrityViolationException|CannotGetJdbcConnectionException|CannotCreateTransactionException|BadSqlGrammarException|DuplicateKeyException|PersistenceException|JDBCConnectionException|HikariPool|CommunicationsException|Jedis\w*Exception|RedisConnection\w*Exception|RedisCommand\w*Exception|Mongo(?:\w{0,40})(?:Error|Exception)|QueryFailedError|Sequelize\w*Error|PrismaClient\w*Error|Knex\w*Error|PDOException|RedisException|mysqli_sql_exception|QueryException|ActiveRecord::\w+|Mysql2::Error|PG::\w+|Redis::\w+Error|Npgsql\w*Exception|DbUpdate\w*Exception|EntityException|OperationalError|ProgrammingError|IntegrityError|InterfaceError|InternalError_|DatabaseError|ReplyError|MaxRetriesPerRequestError|TransactionSystemException|LazyInitializationException|OptimisticLock\w*|StaleObjectState\w*|ElasticsearchException|ServerSelectionTimeoutError|NoHostAvailable\w*|CassandraException)\b/,
      confidence: 0.94,
      because: 'exception classes of drivers and mappers in many languages',
    },
    {
      match:
        /too many (?:clients already|connections)|remaining connection slots are reserved|deadlock (?:detected|found)|the database system is (?:starting up|shutting down|in recovery mode|not yet accepting)|relation "[^"\n]+" (?:does not exist|already exists)|column "?[^"\n]{1,80}"? (?:does not exist|of relation)|database "[^"\n]+" does not exist|role "[^"\n]+" does not exist|duplicate key value violates|violates (?:not-null|foreign key|unique|check) constraint|current transaction is aborted|canceling statement due to|could not (?:serialize access|open relation|resize shared memory|create lock file "[^"\n]{1,200}PGSQL|access file "|map anonymous|locate a valid checkpoint|write to file "(?:pg_|base))|syntax error at (?:or near|end of)|syntax error in SQL|invalid (?:input syntax for|byte sequence for|page in block|checkpoint record)|SSL (?:error|SYSCALL error|connection has been closed)|server closed the connection unexpectedly|terminating connection due to|database files are incompatible|data directory "[^"\n]{1,200}" (?:has|is)|lock file "[^"\n]{1,200}" already exists|Is another postmaster \(PID|value too long for type|operator does not exist|function [\w.]{1,80}\([^)\n]{0,200}\) does not exist|cache lookup failed|could not connect to server: |connection to server (?:at|on) "|no space left on device.{0,40}pg_wal|null value in column/i,
      confidence: 0.945,
      because: 'PostgreSQL',
    },
    {
      match:
        /You have an error in your SQL syntax|Table '[^'\n]+' (?:doesn't exist|already exists|is marked as crashed)|Unknown (?:column|database|table) '|Duplicate entry '|Lock wait timeout exceeded|MySQL server has gone away|Lost connection to MySQL|Can't connect to (?:local )?(?:MySQL|MariaDB|server on)|Host '[^'\n]+' is (?:blocked|not allowed)|ER_(?:ACCESS|BAD|DUP|NO_SUCH|CON|LOCK|PARSE|HOST|NOT|DATA|TOO|TABLE)_\w{1,50}|\[InnoDB\] (?:Unable|Cannot|Operating system error|Database page corruption)|InnoDB: (?:Unable|Cannot|Operating system error|Error|Database page|Corruption|Fatal)|Packet for query is too large|max_allowed_packet|Data too long for column|Incorrect (?:string|integer|datetime) value|ERROR \d{4} \([0-9A-Z]{5}\)|The table '[^'\n]+' is full|Can't open and lock privilege tables|Aborted connection \d+ to db/,
      confidence: 0.945,
      because: 'MySQL and MariaDB',
    },
    {
      match:
        /(?:[Uu]nable|[Ff]ailed|[Cc]ould not|[Cc]annot|[Ee]rror) (?:to )?connect(?:ing)? to (?:the |a |our )?(?:\S{1,30} )?(?:[Dd]atabase|DB|db|[Pp]ostgres\w{0,6}|[Mm]y[Ss][Qq][Ll]|[Mm]ariaDB|[Rr]edis|[Mm]ongo\w{0,4})\b/,
      confidence: 0.945,
      because: 'a program says which of its peers it cannot reach',
    },
    {
      on: 'text',
      match: /\[(?:ERROR|Error)\] (?:\[MY-\d{6}\] )?(?:\[InnoDB\]|InnoDB: )/,
      confidence: 0.86,
      because: 'the log of MySQL and MariaDB on its storage engine',
    },
    {
      match:
        /MISCONF Redis|OOM command not allowed|\b(?:LOADING Redis is loading|READONLY You can't write|CLUSTERDOWN|MASTERDOWN|BUSY Redis is busy|EXECABORT|CROSSSLOT|WRONGTYPE|NOSCRIPT|BUSYGROUP)\b|Error \d{1,3} (?:while )?connecting to [\w.-]{1,120}:6379|Redis connection (?:to \S{1,120} )?(?:failed|error|lost|timed out)|Can't save in background|Failed opening the (?:RDB|temp RDB)|Bad file format reading the append only|Background saving error|Could not connect to Redis|Connection is closed\.?$/,
      confidence: 0.955,
      because: 'Redis and its clients',
    },
    {
      match:
        /E11000 duplicate key|MongoServerError|MongoNetworkError|MongooseServerSelectionError|MongoServerSelectionError|buffering timed out after|not (?:master|primary) and|WiredTiger error|No suitable servers found|(?:Server|Replica set) selection timed? ?out|Unable to (?:acquire|lock) (?:the )?(?:lock file|security key)|ReplicaSetNoPrimary/,
      confidence: 0.945,
      because: 'MongoDB and its clients',
    },
    {
      match:
        /\bORA-\d{5}\b|\bSQLSTATE\[|SQLSTATE(?:: |=)[0-9A-Z]{5}|\bSQL Error: |\bDB2 SQL error|Msg \d{3,5}, Level \d{1,2}, State|TNS-\d{5}|\bSQL0\d{3,4}N\b|code: 'P\d{4}'|Error: P[12]\d{3}\b/,
      confidence: 0.94,
      because: 'Oracle, PDO, JDBC, DB2, SQL Server, Prisma',
    },
    {
      match:
        /Can't locate revision identified by|Multiple head revisions|migration (?:\S{1,120} )?(?:failed|could not|is not|error)|pending migrations?|Migration(?:Failed|Error|s? are pending)|FlywayException|Validate failed: |LiquibaseException|InconsistentMigrationHistory|Migrations? checksum mismatch|schema (?:version )?mismatch/i,
      confidence: 0.93,
      fixable: false,
      because: 'schema migrations: Alembic, Django, Rails, Flyway, Liquibase',
    },
    {
      match:
        /(?:ClusterBlockException|index_not_found_exception|search_phase_execution_exception|circuit_breaking_exception|flood stage disk watermark|es_rejected_execution_exception|all shards failed|No living connections|master_not_discovered|LEADER_NOT_AVAILABLE|NotLeaderForPartition\w*|UNKNOWN_TOPIC_OR_PARTITION|Broker: |kafka\.errors\.\w+|KafkaException|NoBrokersAvailable|AMQP(?:Connection|Channel)\w*(?:Error|Exception)|ShutdownSignalException|PRECONDITION_FAILED - )/,
      confidence: 0.915,
      because: 'search engines and queues that hold data',
    },
    {
      match:
        /(?:connect(?:ion|ing)?|connected)[^\n]{0,60}\b(?:postgres(?:ql)?|mysql|mariadb|redis|mongo(?:db)?|database|qdrant|elasticsearch|clickhouse|influxdb|memcached|cassandra|sqlite|rabbitmq|kafka|milvus|weaviate|neo4j)\b[^\n]{0,100}(?:failed|refused|error|lost|closed|could not|cannot|unable|timed? ?out|terminated|reset|denied)|(?:failed|unable|cannot|could not|can't|error)[^\n]{0,40}(?:connect|connecting|connection|query|querying|write|read|insert|open|fetch)[^\n]{0,40}\b(?:postgres(?:ql)?|mysql|mariadb|redis|mongo(?:db)?|database|qdrant|elasticsearch|clickhouse|influxdb|memcached|cassandra|sqlite|rabbitmq|kafka|milvus|weaviate|neo4j)\b/i,
      words: [
        ...['postgres', 'mysql', 'mariadb', 'redis', 'mongo', 'database', 'qdrant', 'elasticsearch', 'clickhouse'],
        ...['influxdb', 'memcached', 'cassandra', 'sqlite', 'rabbitmq', 'kafka', 'milvus', 'weaviate', 'neo4j'],
      ],
      confidence: 0.887,
      because: 'a program says that its database is out of reach',
    },
    {
      match:
        /\b(?:database|db|sql|query|transaction)\b[ _]?(?:error|failure|exception|connection (?:error|failed|lost|refused|closed))\b|(?:^|[ :])(?:query|transaction|insert|commit|rollback) failed\b|connection pool (?:exhausted|timeout|is full)|QueuePool limit|unable to acquire a connection|Timeout acquiring a connection|Connection is not available, request timed out|dropping database connection|connection pool initiali[sz]ation/i,
      confidence: 0.9,
      because: 'usual wording',
    },
    {
      match:
        /^(?:\(error\) |-)?(?:DENIED|LOADING|READONLY|CLUSTERDOWN|MASTERDOWN|NOREPLICAS|UNKILLABLE|TRYAGAIN) [A-Z]/,
      confidence: 0.93,
      because: 'error replies of Redis begin with a code',
    },
    {
      match: /[Cc]ollection [`'"]?[\w.-]{1,80}[`'"]? (?:doesn't exist|does not exist|not found)/,
      confidence: 0.93,
      because: 'vector stores',
    },
  ],
  matches: [
    { text: '2026-01-05 10:00:00,123 ERROR [store] sqlite3.OperationalError: database is locked' },
    { text: 'FATAL:  sorry, too many clients already' },
    { text: '2026-01-05 10:00:00,123 ERROR [store] sqlite3.DatabaseError: database disk image is malformed' },
    { text: '2026-01-05 10:00:00.123 UTC [77] FATAL:  the database system is starting up' },
    {
      text: '2026-01-05 10:00:00.123 UTC [77] ERROR:  deadlock detected\n2026-01-05 10:00:00.123 UTC [77] DETAIL:  Process 8 waits for ShareLock',
    },
    {
      text: "2026-01-05 10:00:00,123 ERROR [store] redis.exceptions.ResponseError: MISCONF Redis is configured to save RDB snapshots, but it's currently unable to persist to disk.",
    },
    { text: '(node:8) MongoServerError: E11000 duplicate key error collection: shop.carts' },
    {
      text: "2026-01-05 10:00:00,123 ERROR [store] pymysql.err.OperationalError: (2006, 'MySQL server has gone away')",
    },
    { text: "alembic.util.exc.CommandError: Can't locate revision identified by '9f2ab'" },
    { text: '2026-01-05 10:00:00,123 ERROR [store] could not connect to redis: connection lost' },
  ],
  rejects: [
    { text: '2026-01-05 10:00:00,123 INFO [store] database opened' },
    { text: '2026-01-05 10:00:00,123 INFO [chat] user: "database is locked"' },
    { text: '2026-01-05 10:00:00,123 INFO [store] deadlocks=0' },
    { text: '2026-01-05 10:00:00.123 UTC [77] LOG:  database system is ready to accept connections' },
  ],
});
