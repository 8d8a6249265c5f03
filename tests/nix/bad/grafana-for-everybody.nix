{
  base = "full";
  message = "shown to nobody without a password";
  change = {
    services.grafana.settings."auth.anonymous".enabled = true;
  };
}
