{
  base = "full";
  message = "share the core of exclusive CPU 2";
  change =
    { lib, ... }:
    {
      services.hlhft.host.cpus.assigned.hlhft-watchdog = lib.mkForce "2";
    };
}
