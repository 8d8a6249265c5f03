{
  base = "full";
  message = "could never be proven dead";
  change = {
    services.hlhft.settings.batch.expires_after_ms = 0;
  };
}
