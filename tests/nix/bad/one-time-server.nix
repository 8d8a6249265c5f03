{
  base = "full";
  message = "a false one cannot be told";
  change = {
    services.hlhft.network.timeServers = [ "ntp1.hetzner.de" ];
  };
}
