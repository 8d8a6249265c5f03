"""The catalogue: events as Parquet files by kind, coin and UTC date, each with a manifest beside it."""
