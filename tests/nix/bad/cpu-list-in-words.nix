{
  base = "full";
  message = "is no CPU and no range of CPUs";
  option = [
    "services"
    "hlhft"
    "host"
    "cpus"
    "mask"
  ];
  change =
    { lib, ... }:
    {
      services.hlhft.host.cpus.exclusive = lib.mkForce "two";
    };
}
