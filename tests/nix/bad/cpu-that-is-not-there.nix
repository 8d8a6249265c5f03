{
  base = "full";
  message = "the host has 12, counted from 0";
  change =
    { lib, ... }:
    {
      services.hlhft.host.cpus.count = lib.mkForce 12;
    };
}
