{
  base = "full";
  message = "endDate lies before startDate";
  change =
    { lib, ... }:
    {
      services.hlhft.miner.endDate = lib.mkForce "2026-03-01";
    };
}
