"""The fleet's `ponte.toml` in a world of chaos: as brisk as its time scale, and with no ceiling in anybody's way."""

TOML = """\
[ponte]
home = "."
{journal}
broker_port = {broker_port}
gateway_port = {gateway_port}
flower_port = {flower_port}
order_workers = {order_workers}
threads = 8
lease_seconds = {lease}
sweep_seconds = 1

[connections.ploomes]
role = "crm"
adapter = "ploomes"
poll_seconds = 1
records_seconds = 3

[connections.ploomes.settings]
url = "http://127.0.0.1:{crm_port}"
user_key = "file:secrets/ploomes-integration.key"
validation_key = "file:secrets/ploomes-validation.key"
minute_seconds = 1
deadline = {deadline}
total_deadline = 4
settles_after = {settles}
overlap = 5
returned_stage_id = 20004

[connections.ploomes.settings.fields]
{fields}

{erp}

[bridges.main]
crm = "ploomes"
erp = "erp"
start = {start}

[bridges.main.orders]
reason_grace_seconds = 2
held_up_minutes = 600
adopt_days = 0

[bridges.main.customers]
reconcile_hours = 1000

[bridges.main.customers.ceilings]
creates = 100000
archives = 100000
price_changes_percent = 100

[bridges.main.products]
reconcile_hours = 1000

[bridges.main.products.ceilings]
creates = 100000
archives = 100000
price_changes_percent = 100

[bridges.main.notices]
fallback_user = "10004"
channels = ["json://127.0.0.1:{sink_port}/"]
"""
