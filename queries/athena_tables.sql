-- The two tables over the S3 folders, for Amazon Athena (engine version 3), by the names that a Glue crawler with the prefix
-- raw_ gives them. Give your own bucket in LOCATION and in storage.location.template.
-- The days are computed, not stored: a new day's rows are there at once, and a query with a condition on dt reads only the
-- days that it asks for. The SerDe matches the upper-case names in the objects without regard to case, reads .gz by its
-- ending, and makes a row of NULLs of a line that is no JSON.

CREATE EXTERNAL TABLE IF NOT EXISTS raw_fraudulent_transactions_result (
  transaction_id string,
  sender_bank_account string,
  sender_id string,
  receiver_bank_account string,
  receiver_id string,
  amount double,
  status string,
  evaluation string,
  transfer_date string,
  sender_bank string,
  source_process string
)
PARTITIONED BY (dt string)
ROW FORMAT SERDE 'org.openx.data.jsonserde.JsonSerDe'
WITH SERDEPROPERTIES ('ignore.malformed.json' = 'true')
LOCATION 's3://test0001-fraudulent-transactions-raw/fraudulent-transactions/fraudulent-transactions-result/'
TBLPROPERTIES (
  'projection.enabled' = 'true',
  'projection.dt.type' = 'date',
  'projection.dt.format' = 'yyyy-MM-dd',
  'projection.dt.range' = '2026-01-01,NOW',
  'storage.location.template' = 's3://test0001-fraudulent-transactions-raw/fraudulent-transactions/fraudulent-transactions-result/dt=${dt}/'
);

CREATE EXTERNAL TABLE IF NOT EXISTS raw_users (
  id string,
  name string,
  address string,
  email string,
  birthdate string,
  phone_number string,
  job string,
  company string,
  ssn string,
  blood_group string,
  website string,
  username string,
  bank_account string,
  source_process string
)
PARTITIONED BY (dt string)
ROW FORMAT SERDE 'org.openx.data.jsonserde.JsonSerDe'
WITH SERDEPROPERTIES ('ignore.malformed.json' = 'true')
LOCATION 's3://test0001-fraudulent-transactions-raw/fraudulent-transactions/users/'
TBLPROPERTIES (
  'projection.enabled' = 'true',
  'projection.dt.type' = 'date',
  'projection.dt.format' = 'yyyy-MM-dd',
  'projection.dt.range' = '2026-01-01,NOW',
  'storage.location.template' = 's3://test0001-fraudulent-transactions-raw/fraudulent-transactions/users/dt=${dt}/'
);
