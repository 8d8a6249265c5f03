{
  base = "full";
  message = "where alone dashboards are shown";
  change =
    { lib, ... }:
    {
      services.grafana.settings.server.http_addr = lib.mkForce "0.0.0.0";
    };
}
