{
  base = "full";
  message = "host.cpus.network is 3";
  change =
    { lib, ... }:
    {
      services.hlhft.host.cpus.network = lib.mkForce 3;
    };
}
