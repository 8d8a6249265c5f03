{
  base = "full";
  message = "say where the backup goes";
  change =
    { lib, ... }:
    {
      services.hlhft.backup.repository = lib.mkForce "";
    };
}
